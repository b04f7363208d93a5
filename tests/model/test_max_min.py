"""Max-min fair rates: examples solved by hand, the laws that define them, and a dense filling written down step by step."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csc_array, csr_array

from bench.model.flow.max_min import max_min_rates

Matrix = NDArray[np.float64]
seeds = pytest.mark.parametrize("seed", range(12))


def random_network(seed: int) -> tuple[Matrix, Matrix]:
    """Up to 12 links and 25 flows over one to four of them, some spread over several; every flow passes a link."""
    random = np.random.default_rng(seed)
    num_links, num_flows = int(random.integers(1, 13)), int(random.integers(1, 26))
    incidence = (random.random((num_links, num_flows)) < 0.25).astype(np.float64)
    incidence[random.integers(num_links, size=num_flows), np.arange(num_flows)] = 1.0
    is_spread = random.random(num_flows) < 0.3
    incidence[:, is_spread] /= incidence[:, is_spread].sum(axis=0)
    return incidence, random.integers(1, 5, num_links).astype(np.float64)


def dense_rates(incidence: Matrix, capacities: Matrix) -> Matrix:
    """Raise all rates until a link is full, stop its flows, and again; one link at a time."""
    rates, rises = np.zeros(incidence.shape[1]), np.ones(incidence.shape[1], dtype=bool)
    while rises.any():
        demand = incidence @ rises
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(demand > 1e-9, (capacities - incidence @ rates) / demand, np.inf)
        rates[rises] += room.min()
        rises &= incidence[room.argmin()] == 0
    return rates


def test_flows_in_a_line() -> None:
    """One flow over both links, one on each: the narrow link (1) gives 0.5 to its two, the wide one (2) what is left."""
    rates = max_min_rates(csr_array([[1.0, 1, 0], [1, 0, 1]]), [1.0, 2.0])
    assert rates.tolist() == [0.5, 0.5, 1.5]


def test_three_levels() -> None:
    """Link 0 (3): flows a b c, so 1 each. Link 1 (4): a d, so d gets 3. Link 2 (10): d e, so e gets 7."""
    incidence = [[1.0, 1, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
    assert max_min_rates(csr_array(incidence), [3.0, 4.0, 10.0]).tolist() == [1, 1, 1, 3, 7]


def test_a_flow_spread_over_two_links() -> None:
    """Alone it gets both; with another on one of them, half of it and that one fill the link: 0.5 x + x = 1."""
    assert max_min_rates(csr_array([[0.5], [0.5]]), [1.0, 1.0]).tolist() == [2.0]
    assert max_min_rates(csr_array([[0.5, 1], [0.5, 0]]), [1.0, 1.0]) == pytest.approx([2 / 3] * 2)


def test_what_limits_nothing_and_what_lets_nothing_pass() -> None:
    incidence = csr_array(np.array([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]]))
    rates = max_min_rates(incidence, [np.inf, 0.0, 5.0])
    assert rates.tolist() == [np.inf, 0.0, np.inf, 0.0]
    assert max_min_rates(csr_array(np.ones((3, 0))), [1.0, 1.0, 1.0]).tolist() == []


@seeds
def test_agrees_with_a_dense_filling(seed: int) -> None:
    incidence, capacities = random_network(seed)
    expected = dense_rates(incidence, capacities)
    rows = csr_array(incidence)
    for sparse in (rows, rows.tocsc(), rows.tocoo()):
        assert max_min_rates(sparse, capacities) == pytest.approx(expected, rel=1e-9)


@seeds
def test_capacity_is_kept_and_every_flow_has_a_bottleneck(seed: int) -> None:
    """A full link on which no flow is faster than it: what makes rates max-min fair."""
    incidence, capacities = random_network(seed)
    rates = max_min_rates(csr_array(incidence), capacities)
    load = incidence @ rates
    assert (load <= capacities * (1 + 1e-12)).all()
    is_full = load >= capacities * (1 - 1e-9)
    for flow, rate in enumerate(rates):
        passed = is_full & (incidence[:, flow] > 0)
        assert any(rates[incidence[link] > 0].max() <= rate * (1 + 1e-9) for link in np.flatnonzero(passed))


@seeds
def test_no_flow_gains_unless_a_slower_one_loses(seed: int) -> None:
    """The definition, by linear programs: the most a flow can get while those that are no faster keep what they have."""
    incidence, capacities = random_network(seed)
    rates = max_min_rates(csr_array(incidence), capacities)
    for flow in range(0, len(rates), 5):
        keep = np.where(rates <= rates[flow] * (1 + 1e-9), rates, 0.0) * (1 - 1e-9)
        objective = -np.eye(len(rates))[flow]
        best = linprog(objective, incidence, capacities, bounds=[(least, None) for least in keep.tolist()])
        assert best.x is not None and best.x[flow] == pytest.approx(rates[flow], rel=1e-6)


@seeds
def test_rates_scale_with_capacities_and_do_not_depend_on_order(seed: int) -> None:
    incidence, capacities = random_network(seed)
    rates = max_min_rates(csr_array(incidence), capacities)
    assert max_min_rates(csr_array(incidence), capacities * 7e9) == pytest.approx(rates * 7e9, rel=1e-12)
    random = np.random.default_rng(seed)
    links, flows = random.permutation(len(capacities)), random.permutation(len(rates))
    turned = max_min_rates(csr_array(incidence[np.ix_(links, flows)]), capacities[links])
    assert turned == pytest.approx(rates[flows], rel=1e-12)


@seeds
def test_a_column_with_a_count_is_that_many_flows(seed: int) -> None:
    incidence, capacities = random_network(seed)
    counts = np.random.default_rng(seed).integers(1, 5, incidence.shape[1])
    merged = max_min_rates(csr_array(incidence), capacities, counts)
    apart = max_min_rates(csr_array(np.repeat(incidence, counts, axis=1)), capacities)
    assert apart == pytest.approx(np.repeat(merged, counts), rel=1e-12)


def test_what_was_given_is_left_as_it_was() -> None:
    incidence = csc_array(np.ones((2, 3)))
    max_min_rates(incidence, [np.inf, 1.0], [1, 2, 3])
    assert incidence.toarray().tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize(
    ("incidence", "capacities", "counts", "what"),
    [
        ([[1.0, 1.0]], [1.0, 2.0], None, "one capacity for each link"),
        ([[1.0, 1.0]], [1.0], [1.0], "one count for each flow"),
        ([[1.0, -1.0]], [1.0], None, "negative or not finite"),
        ([[1.0, np.nan]], [1.0], None, "negative or not finite"),
        ([[1.0, 1.0]], [-1.0], None, "0 or more"),
        ([[1.0, 1.0]], [np.nan], None, "0 or more"),
        ([[1.0, 1.0]], [1.0], [1.0, 0.0], "above 0"),
    ],
)
def test_errors_say_what_to_give(
    incidence: list[list[float]], capacities: list[float], counts: list[float] | None, what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        max_min_rates(csr_array(incidence), capacities, counts)
