"""Groups: every kind shares out the ranks, each of them once, in groups of one size."""

import pytest

from bench.model.grouping import WORLD, check_kind, groups_of

BLOCKS = ["a", "a", "a", "b", "b", "b"]
ROUND = ["a", "b", "c", "a", "b", "c"]
"""Ranks placed one host after the other, as some launchers do."""
ONE_HOST = ["a"] * 6
ONE_EACH = list("abcdef")
PLACEMENTS = [BLOCKS, ROUND, ONE_HOST, ONE_EACH, ["a"]]
KINDS = ["world", "host", "rail", "size:1", "size:2", "size:3", "size:6", "stride:1", "stride:2", "stride:3"]


def _fits(kind: str, hosts: list[str]) -> bool:
    _, _, number = kind.partition(":")
    return not number or len(hosts) % int(number) == 0 or len(hosts) < int(number)


@pytest.mark.parametrize("hosts", PLACEMENTS, ids="".join)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_every_rank_once_in_groups_of_one_size(kind: str, hosts: list[str]) -> None:
    assert _fits(kind, hosts)
    groups = groups_of(kind, hosts)
    assert sorted(rank for group in groups for rank in group.ranks) == list(range(len(hosts)))
    assert len({len(group.ranks) for group in groups}) == 1
    assert all(list(group.ranks) == sorted(group.ranks) for group in groups)
    names = [group.name for group in groups]
    assert names == ([WORLD] if kind == WORLD else [f"{kind}/{place}" for place in range(len(groups))])


@pytest.mark.parametrize("hosts", PLACEMENTS, ids="".join)
def test_hosts_and_rails(hosts: list[str]) -> None:
    """Ranks of one host share its name; a rail has exactly one rank of each host, and they meet each other in one rank."""
    by_host, by_rail = groups_of("host", hosts), groups_of("rail", hosts)
    names = set(hosts)
    assert [{hosts[rank] for rank in group.ranks} for group in by_host] == [
        {name} for name in dict.fromkeys(hosts)
    ]
    for rail in by_rail:
        assert len(rail.ranks) == len(names) and {hosts[rank] for rank in rail.ranks} == names
    assert len(by_rail) * len(by_host) == len(hosts)
    for place, rail in enumerate(by_rail):
        assert {group.ranks[place] for group in by_host} == set(rail.ranks)


@pytest.mark.parametrize(
    ("kind", "hosts", "expected"),
    [
        ("world", BLOCKS, [(0, 1, 2, 3, 4, 5)]),
        ("host", BLOCKS, [(0, 1, 2), (3, 4, 5)]),
        ("host", ROUND, [(0, 3), (1, 4), (2, 5)]),
        ("rail", BLOCKS, [(0, 3), (1, 4), (2, 5)]),
        ("rail", ROUND, [(0, 1, 2), (3, 4, 5)]),
        ("size:2", BLOCKS, [(0, 1), (2, 3), (4, 5)]),
        ("size:100", BLOCKS, [(0, 1, 2, 3, 4, 5)]),
        ("stride:2", BLOCKS, [(0, 2, 4), (1, 3, 5)]),
        ("stride:100", ["a", "b"], [(0,), (1,)]),
    ],
)
def test_known_groups(kind: str, hosts: list[str], expected: list[tuple[int, ...]]) -> None:
    assert [group.ranks for group in groups_of(kind, hosts)] == expected


@pytest.mark.parametrize("step", range(1, 13))
def test_so_many_at_a_time_and_every_so_manieth_meet_in_one_rank(step: int) -> None:
    """size:K and stride:(12 / K) are rows and columns of one table."""
    hosts = ["a"] * 12
    if 12 % step:
        with pytest.raises(ValueError, match="one size"):
            groups_of(f"size:{step}", hosts)
        with pytest.raises(ValueError, match="one size"):
            groups_of(f"stride:{step}", hosts)
        return
    rows, columns = groups_of(f"size:{step}", hosts), groups_of(f"stride:{step}", hosts)
    assert (len(rows), len(columns)) == (12 // step, step)
    assert all(len(set(row.ranks) & set(column.ranks)) == 1 for row in rows for column in columns)
    assert all(rank % step == place for place, column in enumerate(columns) for rank in column.ranks)


@pytest.mark.parametrize(
    ("kind", "hosts", "sizes"),
    [
        ("host", ["a", "a", "b"], "1 and 2"),
        ("rail", ["a", "a", "b"], "1 and 2"),
        ("rail", ["a", "b", "b", "b", "c", "c"], "1 and 2 and 3"),
        ("size:4", BLOCKS, "2 and 4"),
        ("stride:4", BLOCKS, "1 and 2"),
    ],
)
def test_groups_of_different_size_are_refused(kind: str, hosts: list[str], sizes: str) -> None:
    with pytest.raises(ValueError, match=rf"groups={kind}: .* {sizes} ranks; .* divides evenly"):
        groups_of(kind, hosts)


@pytest.mark.parametrize(
    "kind",
    ["", "World", "hosts", "size", "size:", "size:0", "size:-2", "size:2.5", "size:02", "size:99999999", "rail:2",
     "world:1", "stride:2:3", " host", "host\n"],
)  # fmt: skip
def test_an_unknown_kind_is_told_the_known_ones(kind: str) -> None:
    for refuse in (lambda: check_kind(kind), lambda: groups_of(kind, BLOCKS)):
        with pytest.raises(ValueError, match=r"is not known\. Allowed: world, host, rail, size:K, stride:K"):
            refuse()


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_kind_is_let_pass(kind: str) -> None:
    check_kind(kind)
