"""Networks that predictions are made for, and how tests ask for one."""

import pytest

from bench.model import units
from bench.model.collective import Collective
from bench.model.fabric import Fabric, Network
from bench.model.predict import Prediction, predict
from bench.model.transceiver import Transceiver
from bench.model.transfer import KNOWN_SCHEDULES
from tests.model.schedules import Split, even_split, spec_of

GIB = 2**30

DR4 = Transceiver(name="dr4", nominal_rate_gbps=400, sources={"test": {"document": "made up", "grade": "M"}})
HGX = Fabric(
    name="hgx",
    ranks_per_host=8,
    ports_per_host=8,
    nic_gbps=400,
    pcie_gbytes_per_s=57.6,
    nvlink_gbytes_per_s=450,
)

NETWORKS = {
    "one port per host": Network(
        num_hosts=4, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 5e10}
    ),
    "eight ports, nvlink": Network(
        num_hosts=4,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 4.9e10, "nic": 4.9e10, "pcie": 5.76e10},
        nvlink_bytes_per_s=3.7e11,
    ),
    "slow adapter": Network(
        num_hosts=2,
        ranks_per_host=4,
        ports_per_host=4,
        port_bytes_per_s={"optics": 1e11, "nic": 2.5e10},
        nvlink_bytes_per_s=2.4e11,
    ),
    "slow nvlink": Network(
        num_hosts=2,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 1e11},
        nvlink_bytes_per_s=4e10,
    ),
    "one host": Network(
        num_hosts=1,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        nvlink_bytes_per_s=3.7e11,
    ),
    "blocking spine": Network(
        num_hosts=16,
        ranks_per_host=8,
        ports_per_host=8,
        port_bytes_per_s={"optics": 5e10},
        spine_bytes_per_s=5e10 / 8,
        hosts_per_leaf=4,
        nvlink_bytes_per_s=3.7e11,
    ),
    "delayed": Network(
        num_hosts=4, ranks_per_host=1, ports_per_host=1, port_bytes_per_s={"optics": 5e7}, delay_s=1e-3
    ),
}

EVERY_WITH_DATA = [collective for collective in Collective if collective is not Collective.barrier]
every_collective = pytest.mark.parametrize("collective", EVERY_WITH_DATA)
every_known_schedule = pytest.mark.parametrize("collective", [c for c in Collective if c in KNOWN_SCHEDULES])
every_bounded = pytest.mark.parametrize(
    "collective", [c for c in EVERY_WITH_DATA if c not in KNOWN_SCHEDULES]
)
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())


def predicted(
    collective: Collective, network: Network, message_bytes: int = GIB, split: Split | None = None
) -> Prediction:
    """Shares of an all_to_allv are equal unless ``split`` says otherwise."""
    if collective is Collective.all_to_allv and split is None:
        split = even_split(network.num_ranks, message_bytes)
    return predict(spec_of(collective, network.num_ranks, message_bytes, split), network)


def ceiling_of(prediction: Prediction) -> float:
    ceiling = prediction.ceiling_busbw_bytes_per_s
    assert ceiling is not None
    return units.gbytes_per_s(ceiling)


def duration_of(prediction: Prediction) -> float:
    assert prediction.duration_s is not None
    return prediction.duration_s
