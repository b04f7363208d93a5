"""`bound_by`: every verdict can be reached, and none without its evidence."""

import dataclasses
from itertools import product

import pytest

from bench.model.verdict import MeasuredPoint, best_other_efficiency, bound_by

RESOURCES = ("optics", "nic", "pcie", "nvlink", "spine")
MIB = 2**20

NATIVE = ("native", "float32", "in_place", "latency", "world")
"""What tells series of one collective apart, as summary.csv has it: algorithm, data type, placement, pass, group."""

POINT = MeasuredPoint(
    series=("all_reduce", *NATIVE),
    message_bytes=64 * MIB,
    time_s=64.0,
    efficiency=0.95,
    predicted_bound="optics",
    is_over_fabric=True,
)
SLOW = dataclasses.replace(POINT, series=("all_to_all", *NATIVE), efficiency=0.5)


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_point_near_its_ceiling_is_bound_by_the_resource_that_sets_it(resource: str) -> None:
    point = dataclasses.replace(POINT, predicted_bound=resource)
    assert bound_by(point, [point]) == resource


@pytest.mark.parametrize(
    ("efficiency", "verdict"), [(0.8, "optics"), (1.05, "optics"), (0.799, "unknown"), (None, "unknown")]
)
def test_a_resource_binds_from_80_percent_of_the_ceiling(efficiency: float | None, verdict: str) -> None:
    point = dataclasses.replace(POINT, efficiency=efficiency)
    assert bound_by(point, [point]) == verdict


def test_without_a_prediction_nothing_is_named() -> None:
    point = dataclasses.replace(POINT, predicted_bound=None, efficiency=None)
    assert bound_by(point, [point, SLOW]) == "unknown"


@pytest.mark.parametrize(
    ("slow_efficiency", "other", "verdict"),
    [
        (0.5, POINT, "backend"),
        (0.79, dataclasses.replace(POINT, efficiency=0.9), "backend"),
        (0.5, dataclasses.replace(POINT, efficiency=0.899), "unknown"),
        (0.5, dataclasses.replace(POINT, efficiency=None), "unknown"),
        (0.8, POINT, "optics"),
        # Another algorithm of the same collective is evidence, another size of the same series is not.
        (0.5, dataclasses.replace(POINT, series=("all_to_all", "pairwise", *NATIVE[1:])), "backend"),
        (
            0.5,
            dataclasses.replace(POINT, series=SLOW.series, message_bytes=128 * MIB, time_s=128.0),
            "unknown",
        ),
        # Nor is what never crossed the links.
        (0.5, dataclasses.replace(POINT, is_over_fabric=False), "unknown"),
    ],
)
def test_backend_needs_evidence(slow_efficiency: float, other: MeasuredPoint, verdict: str) -> None:
    point = dataclasses.replace(SLOW, efficiency=slow_efficiency)
    assert bound_by(point, [point]) == ("optics" if slow_efficiency >= 0.8 else "unknown")
    assert bound_by(point, [point, other]) == verdict


@pytest.mark.parametrize("place", range(2, len(SLOW.series)))
def test_another_form_of_the_same_call_is_no_evidence(place: int) -> None:
    """Another data type, placement or pass of one collective and algorithm: the backend makes the same messages of both, so
    what differs lies elsewhere, in a cold cache for one."""
    series = tuple("another" if i == place else part for i, part in enumerate(SLOW.series))
    other = dataclasses.replace(SLOW, series=series, efficiency=0.95)
    assert bound_by(SLOW, [SLOW, other]) == "unknown"
    assert best_other_efficiency(SLOW, [SLOW, other]) == 0
    assert bound_by(SLOW, [SLOW, other, POINT]) == "backend"


@pytest.mark.parametrize("group", ["rail/0", "size:2/0", "world"])
def test_what_another_group_reached_is_no_evidence(group: str) -> None:
    """Its links are other ones; and of the same group it is."""
    slow = dataclasses.replace(SLOW, group="rail/1")
    fast = dataclasses.replace(POINT, group=group)
    assert bound_by(slow, [slow, fast]) == "unknown"
    assert best_other_efficiency(slow, [slow, fast]) == 0
    beside = dataclasses.replace(fast, group="rail/1")
    assert bound_by(slow, [slow, fast, beside]) == "backend"


@pytest.mark.parametrize("predicted_bound", ["nvlink", None])
def test_what_another_resource_carried_is_no_evidence(predicted_bound: str | None) -> None:
    other = dataclasses.replace(POINT, predicted_bound=predicted_bound)
    assert bound_by(SLOW, [SLOW, other]) == "unknown"


def test_backend_only_ever_with_evidence() -> None:
    """For every combination of two points: below 0.8, over the fabric, and another series at 0.9 over it."""
    efficiencies = (None, 0.1, 0.79, 0.8, 0.89, 0.9, 1.1)
    for mine, its, here, there, same in product(
        efficiencies, efficiencies, (True, False), (True, False), (True, False)
    ):
        point = dataclasses.replace(SLOW, efficiency=mine, is_over_fabric=here)
        other = dataclasses.replace(
            POINT,
            series=SLOW.series if same else POINT.series,
            message_bytes=2 * SLOW.message_bytes,
            efficiency=its,
            is_over_fabric=there,
        )
        has_evidence = its is not None and its >= 0.9 and there and not same
        is_below = mine is not None and mine < 0.8 and here
        assert (bound_by(point, [point, other]) == "backend") == (is_below and has_evidence)


def test_loopback_is_never_bound_by_a_resource() -> None:
    efficiencies = (None, 0.5, 0.8, 1.0, 2.3)
    for efficiency, resource, times in product(
        efficiencies, (*RESOURCES, None), ((1.0, 1.1, 1.2), (1.0, 4.0, 16.0))
    ):
        series = [
            MeasuredPoint(
                series=POINT.series,
                message_bytes=MIB * 4**i,
                time_s=time_s,
                efficiency=efficiency,
                predicted_bound=resource,
                is_over_fabric=False,
            )
            for i, time_s in enumerate(times)
        ]
        assert {bound_by(point, [*series, POINT]) for point in series} <= {"latency", "unknown"}


def _sweep(times_s: list[float], efficiency: float | None = 0.1) -> list[MeasuredPoint]:
    """One series, each message twice the one before."""
    return [
        dataclasses.replace(POINT, message_bytes=1024 * 2**i, time_s=time_s, efficiency=efficiency)
        for i, time_s in enumerate(times_s)
    ]


def test_latency_is_a_time_that_grows_with_less_than_the_square_root_of_the_bytes() -> None:
    """Twice the bytes in less than 1.414 times the time of the next smaller message; the smallest asks the next larger."""
    sweep = _sweep([1.0, 1.1, 1.3, 1.3 * 1.41, 1.3 * 1.41 * 1.42, 5.0, 10.0])
    assert [bound_by(point, sweep) for point in sweep] == ["latency"] * 4 + ["unknown"] * 3


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("constant_s", [1.0, 30.0, 1000.0])
def test_latency_ends_where_the_bytes_take_longer_than_the_constant_term(
    factor: int, constant_s: float
) -> None:
    """For a time a + S / b: latency as long as S / b < a, and no longer once the next smaller message has S / b > a."""
    bytes_per_s = 1024.0
    sizes = [1024 * factor**i for i in range(12)]
    sweep = [
        dataclasses.replace(POINT, message_bytes=size, time_s=constant_s + size / bytes_per_s, efficiency=0.1)
        for size in sizes
    ]
    verdicts = [bound_by(point, sweep) for point in sweep]
    for i, size in enumerate(sizes[1:], start=1):
        if size / bytes_per_s < constant_s:
            assert verdicts[i] == "latency"
        if sizes[i - 1] / bytes_per_s > constant_s:
            assert verdicts[i] == "unknown"
    assert verdicts[0] == verdicts[1]


def test_a_time_in_proportion_to_its_bytes_is_not_latency() -> None:
    sweep = _sweep([1.0, 2.0, 4.0, 8.0, 16.0])
    assert {bound_by(point, sweep) for point in sweep} == {"unknown"}


def test_latency_needs_no_ceiling() -> None:
    sweep = _sweep([1.0, 1.0, 1.0], efficiency=None)
    assert {bound_by(point, sweep) for point in sweep} == {"latency"}


def test_latency_goes_before_backend_but_not_before_the_ceiling() -> None:
    sweep = _sweep([1.0, 1.0, 1.0])
    evidence = dataclasses.replace(POINT, series=("send_recv", "ring"))
    assert {bound_by(point, [*sweep, evidence]) for point in sweep} == {"latency"}
    at_ceiling = _sweep([1.0, 1.0, 1.0], efficiency=0.9)
    assert {bound_by(point, at_ceiling) for point in at_ceiling} == {"optics"}


def test_one_size_says_nothing_about_latency() -> None:
    (point,) = _sweep([1.0])
    assert bound_by(point, [point]) == "unknown"


@pytest.mark.parametrize("place", range(len(POINT.series)))
def test_other_series_say_nothing_about_latency(place: int) -> None:
    """Those of another collective, algorithm, data type, placement, pass or group."""
    sweep = _sweep([1.0, 2.0, 4.0])
    series = tuple("another" if i == place else part for i, part in enumerate(POINT.series))
    smaller = dataclasses.replace(POINT, series=series, message_bytes=1, time_s=3.0, efficiency=0.1)
    assert {bound_by(point, [*sweep, smaller]) for point in sweep} == {"unknown"}


def test_the_order_of_points_does_not_matter() -> None:
    points = [*_sweep([1.0, 1.1, 1.2, 4.0]), SLOW]
    verdicts = [bound_by(point, points) for point in points]
    assert [bound_by(point, points[::-1]) for point in points] == verdicts


def test_an_empty_message_is_no_measure_of_growth() -> None:
    """Its logarithm does not exist; the others are compared as if it were not there."""
    sweep = _sweep([1.0, 1.1, 2.2])
    empty = dataclasses.replace(sweep[0], message_bytes=0)
    assert [bound_by(point, [empty, *sweep]) for point in sweep] == [
        bound_by(point, sweep) for point in sweep
    ]
    assert bound_by(empty, [empty, *sweep]) in ("latency", "unknown")


def test_best_other_efficiency() -> None:
    assert best_other_efficiency(SLOW, [SLOW, POINT]) == 0.95
    assert best_other_efficiency(SLOW, [SLOW]) == 0
