"""Traffic: shares keep the ratios of their weights, never exceed a message, and every mistake names where it is."""

import random

import pytest

from bench.model.collective import Collective, message_bytes
from bench.model.traffic import traffic_from_skew, traffic_from_weights, weights_from_csv

SOURCE = "all_to_allv.matrix mine.csv"
MATRICES: list[list[list[float]]] = [
    [[1]],
    [[1, 1], [1, 1]],
    [[0, 1], [1, 0]],
    [[0, 0], [5, 0]],
    [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [1e-9, 0, 1]],
    [[3, 0, 0], [0, 0, 3], [1, 1, 1]],
]
SIZES = [0, 1, 7, 16, 100, 1000, 4096, 10**6 + 1, 2**30, 2**40]


def _largest_buffer(counts: tuple[tuple[int, ...], ...]) -> int:
    return max(*map(sum, counts), *map(sum, zip(*counts, strict=True)))


# Weights


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_largest_buffer_is_the_message(matrix: list[list[float]]) -> None:
    weights = traffic_from_weights(matrix, SOURCE).weights
    sums = [*map(sum, weights), *map(sum, zip(*weights, strict=True))]
    assert max(sums) == pytest.approx(1)


@pytest.mark.parametrize("matrix", MATRICES)
def test_only_the_ratios_of_weights_count(matrix: list[list[float]]) -> None:
    weights = traffic_from_weights(matrix, SOURCE).weights
    eightfold = [[8 * weight for weight in row] for row in matrix]
    assert traffic_from_weights(eightfold, SOURCE).weights == weights
    largest = max(map(max, matrix))
    for row, scaled in zip(matrix, weights, strict=True):
        for weight, share in zip(row, scaled, strict=True):
            assert share == pytest.approx(weight / largest * max(map(max, weights)))


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ([], "0 rows .* must be square"),
        ([[1, 2]], "1 rows of .2. numbers; it must be square"),
        ([[1, 2], [3]], r"2 rows of \[1, 2\] numbers; it must be square"),
        ([[1, 2], [3, -1]], "row 2: -1 is no weight.*not negative"),
        ([[1, float("nan")], [3, 1]], "row 1: nan is no weight.*finite"),
        ([[1, 1], [float("inf"), 1]], "row 2: inf is no weight"),
        ([[1, "much"], [1, 1]], "row 1: 'much' is no weight.*a number"),
        ([[1, 1], [None, 1]], "row 2: None is no weight"),
        ([[0, 0], [0, 0]], "every weight is 0"),
        ([[1e308, 1e308], [0, 0]], "too large to be added"),
    ],
)
def test_weights_that_make_no_traffic_are_refused_with_their_source(
    matrix: list[list[object]], words: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{SOURCE}.*{words}"):
        traffic_from_weights(matrix, SOURCE)


# Skew


@pytest.mark.parametrize("num_ranks", [1, 2, 5, 64])
def test_skew_falls_with_the_rank_that_receives(num_ranks: int) -> None:
    """As 1 / (j + 1)**skew, alike for every sender: so the first rank receives a whole message, and no rank more."""
    for skew in (0.0, 0.5, 1.0, 3.0, 16.0):
        weights = traffic_from_skew(skew, num_ranks).weights
        assert set(weights) == {weights[0]}
        ratios = [weight / weights[0][0] for weight in weights[0]]
        assert ratios == pytest.approx([(rank + 1) ** -skew for rank in range(num_ranks)])
        assert sum(row[0] for row in weights) == pytest.approx(1)


def test_no_skew_is_even() -> None:
    weights = traffic_from_skew(0, 8).weights
    assert {weight for row in weights for weight in row} == {1 / 8}


# Counts


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("item_bytes", [1, 4, 8])
def test_no_buffer_exceeds_the_message_and_nearly_all_of_it_is_used(
    matrix: list[list[float]], item_bytes: int
) -> None:
    traffic = traffic_from_weights(matrix, SOURCE)
    for size in SIZES:
        counts = traffic.counts(size, item_bytes)
        largest_bytes = _largest_buffer(counts) * item_bytes
        assert largest_bytes <= size
        assert largest_bytes > size - item_bytes * (traffic.num_ranks + 1)
        for row, scaled in zip(counts, traffic.weights, strict=True):
            for count, weight in zip(row, scaled, strict=True):
                assert 0 <= count <= weight * (size // item_bytes) + 1e-3
                assert (count == 0) or weight > 0


@pytest.mark.parametrize("seed", range(10))
def test_counts_of_many_ranks_never_exceed_the_message(seed: int) -> None:
    numbers = random.Random(seed)
    num_ranks = numbers.randrange(2, 40)
    matrix = [
        [numbers.choice((0.0, 1.0, numbers.random())) for _ in range(num_ranks)] for _ in range(num_ranks)
    ]
    traffic = traffic_from_weights(matrix, SOURCE)
    for size in [numbers.randrange(2 ** numbers.randrange(1, 41)) for _ in range(20)]:
        assert _largest_buffer(traffic.counts(size, 1)) <= size


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7, 8, 49, 98, 103, 107, 512])
@pytest.mark.parametrize("share", [1, 4, 10**3, 10**8, 2**30, 2**31 + 1])
def test_ones_give_every_rank_the_same_to_the_last_element(num_ranks: int, share: int) -> None:
    """1 / 49 x 49 is not 1 in binary, and no rank may lose an element by that."""
    traffic = traffic_from_skew(0, num_ranks)
    assert {count for row in traffic.counts(num_ranks * share, 1) for count in row} == {share}


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
def test_ones_move_what_all_to_all_moves(num_ranks: int) -> None:
    """Where a size needs no rounding to blocks of 16 bytes."""
    traffic = traffic_from_weights([[1.0] * num_ranks] * num_ranks, SOURCE)
    for size in (16 * num_ranks, 2**20 * num_ranks):
        assert _largest_buffer(traffic.counts(size, 4)) * 4 == message_bytes(
            Collective.all_to_all, size, 4, num_ranks
        )


def test_zeros_stay_zeros() -> None:
    counts = traffic_from_weights([[0, 1, 0], [0, 0, 1], [1, 0, 0]], SOURCE).counts(4096, 4)
    assert counts == ((0, 1024, 0), (0, 0, 1024), (1024, 0, 0))


# Files


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n",
        "1 2\n3 4",
        "# tokens per expert\n\n1, 2\n  # and back\n3.0,4e0\n\n",
        "\t1\t2\r\n3   4\r\n",
        '"1","2"\n3,4\n',
    ],
)
def test_a_file_of_commas_or_blanks(text: str) -> None:
    assert weights_from_csv(text, SOURCE) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "line", "cell"),
    [
        ("1,2\n3,x\n", 2, "3,x"),
        ("# head\n\n1 2\n3 four\n", 4, "3 four"),
        ("1;2\n3;4\n", 1, "1;2"),
        ("1,2,\n", 1, "1,2,"),
        ("rank0,rank1\n1,2\n", 1, "rank0,rank1"),
    ],
)
def test_what_is_no_number_is_named_with_its_line(text: str, line: int, cell: str) -> None:
    with pytest.raises(ValueError) as caught:
        weights_from_csv(text, SOURCE)
    assert str(caught.value) == f"{SOURCE}, line {line}: {cell!r} is not a list of numbers"


def test_an_empty_file_is_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"mine\.csv: the traffic matrix has 0 rows"):
        traffic_from_weights(weights_from_csv("# nothing yet\n", SOURCE), SOURCE)
