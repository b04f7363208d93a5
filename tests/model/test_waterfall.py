"""From the line rate to the busbw: steps that add up, in order, each with a reason."""

import dataclasses
import itertools
import math

import pytest

from bench import catalog
from bench.model.collective import Collective
from bench.model.fabric import Network, emulated_network, real_network
from bench.model.framing import Transport
from bench.model.held_out import Experience, experience
from bench.model.predict import LATENCY, Prediction, predict
from bench.model.schedule import SCHEDULES, Schedule
from bench.model.waterfall import (
    BELOW_NOMINAL,
    CODING,
    CONTENTION,
    DELAY,
    FRAMING,
    GLASS,
    NVLINK,
    waterfall,
)
from bench.published import own_rows
from tests.model.networks import GIB, HGX
from tests.model.schedules import even_split, spec_of

KNOWN = experience(own_rows())
DR4 = catalog.transceiver("400g-osfp-dr4")


def _hgx(num_hosts: int, transport: Transport = Transport.roce_v2) -> Network:
    found = real_network(DR4, HGX, transport, 8 * num_hosts)
    assert found is not None
    return dataclasses.replace(found, has_nvls=True)


BLOCKING = dataclasses.replace(_hgx(16), hosts_per_leaf=4, spine_bytes_per_s=1e9)
NETWORKS = {
    "two hosts": _hgx(2),
    "one host": _hgx(1),
    "many hosts": _hgx(128),
    "no transport named": _hgx(4, Transport.unknown),
    "blocking spine": BLOCKING,
    "narrow slot": dataclasses.replace(
        _hgx(4), port_bytes_per_s={"optics": 4.9e10, "nic": 4.9e10, "pcie": 2.5e10}
    ),
    "no glass": dataclasses.replace(_hgx(4), glass_bytes_per_s=None, mac_bytes_per_s=None),
}
PAIRS = [(collective, schedule) for collective, known in SCHEDULES.items() for schedule in known]


ORDER = [GLASS, CODING, FRAMING, NVLINK, "narrower", CONTENTION, BELOW_NOMINAL, LATENCY, DELAY]


def _predicted(
    collective: Collective, schedule: Schedule, network: Network, size: int, known: Experience | None = KNOWN
) -> Prediction:
    split = even_split(network.num_ranks, size) if collective is Collective.all_to_allv else None
    return predict(spec_of(collective, network.num_ranks, size, split), network, schedule, known)


@pytest.mark.parametrize(("collective", "schedule"), PAIRS, ids=lambda value: value.value)
def test_steps_add_up_and_end_at_the_prediction(collective: Collective, schedule: Schedule) -> None:
    """Shares of an all_to_allv are a matrix, so not for all sizes."""
    networks = [NETWORKS["two hosts"]] if collective is Collective.all_to_allv else NETWORKS.values()
    sizes = (2**14, 2**22, GIB, 2**36)
    for network, known, size in itertools.product(networks, (KNOWN, None), sizes):
        prediction = _predicted(collective, schedule, network, size, known)
        steps = waterfall(prediction, network)
        if prediction.duration_s is None:
            assert steps == ()
            continue
        assert all(step.duration_s > 0 for step in steps)
        total_s = math.fsum(step.duration_s for step in steps)
        assert total_s == pytest.approx(prediction.duration_s, rel=1e-12)
        assert steps[-1].busbw_bytes_per_s == prediction.busbw_bytes_per_s
        assert all(a.busbw_bytes_per_s > b.busbw_bytes_per_s for a, b in itertools.pairwise(steps))
        labels = [step.label for step in steps]
        assert len(set(labels)) == len(labels) and all(step.note for step in steps)
        places = [ORDER.index("narrower" if label.startswith("narrower") else label) for label in labels]
        assert places == sorted(places)


def test_the_optics_of_a_400g_port() -> None:
    """4 x 53.125 GBd x 2 bits = 425 Gb/s on the glass, 400 to the MAC, of which 4096 of 4178 bytes are payload."""
    steps = waterfall(_predicted(Collective.all_reduce, Schedule.ring, _hgx(4), 2**40), _hgx(4))
    assert [step.label for step in steps] == [GLASS, CODING, FRAMING, CONTENTION, LATENCY]
    rates = [step.busbw_bytes_per_s for step in steps]
    assert rates[:3] == pytest.approx([8 * 53.125e9, 8 * 50e9, 8 * 50e9 * 4096 / 4178])
    assert "roce_v2" in steps[2].note


@pytest.mark.parametrize(
    ("name", "collective", "schedule", "label"),
    [
        ("blocking spine", Collective.all_to_all, Schedule.p2p, "narrower: spine"),
        ("narrow slot", Collective.all_reduce, Schedule.ring, "narrower: pcie"),
        ("two hosts", Collective.all_reduce, Schedule.nvlstree, BELOW_NOMINAL),
        ("two hosts", Collective.all_reduce, Schedule.ring, CONTENTION),
        ("one host", Collective.all_reduce, Schedule.ring, BELOW_NOMINAL),
    ],
)
def test_what_is_narrower_than_the_optics_is_named(
    name: str, collective: Collective, schedule: Schedule, label: str
) -> None:
    network = NETWORKS[name]
    steps = waterfall(_predicted(collective, schedule, network, 2**36), network)
    assert label in [step.label for step in steps]


def test_on_one_host_the_first_step_is_nvlinks() -> None:
    prediction = _predicted(Collective.all_reduce, Schedule.ring, NETWORKS["one host"], GIB)
    first = waterfall(prediction, NETWORKS["one host"])[0]
    assert (first.label, first.note) == (NVLINK, "data sheet")
    assert first.busbw_bytes_per_s == pytest.approx(450e9)


def test_without_a_name_of_the_transport_the_note_says_so() -> None:
    network = NETWORKS["no transport named"]
    steps = waterfall(_predicted(Collective.all_reduce, Schedule.ring, network, GIB), network)
    assert any("not known" in step.note for step in steps if step.label == FRAMING)


def test_the_emulated_link_has_a_delay_and_no_software() -> None:
    network = emulated_network(
        *(DR4,), num_hosts=4, ranks_per_host=1, time_scale=1000, mtu_bytes=9000, bucket_bytes=0, delay_s=1e-3
    )
    prediction = predict(spec_of(Collective.all_reduce, 4, 2**26), network)
    steps = waterfall(prediction, network)
    assert [step.label for step in steps] == [GLASS, CODING, FRAMING, DELAY]
    assert steps[-1].duration_s == pytest.approx(6e-3), (
        "a ring of four hosts crosses six borders one after another"
    )


def test_nothing_to_show_where_no_time_is_predicted() -> None:
    network = _hgx(2)
    assert waterfall(predict(spec_of(Collective.broadcast, 16), network), network) == ()
    assert waterfall(predict(spec_of(Collective.barrier, 16, 0), network), network) == ()
