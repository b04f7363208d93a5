"""`Group`: ranks that carry out a collective among themselves while other groups do the same beside them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

WORLD = "world"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """``name``: as in the column ``group``; ``ranks``: of the run, in the order of the group."""

    name: str
    ranks: tuple[int, ...]


def groups_of(kind: str, hosts: Sequence[str]) -> list[Group]:
    """The groups of one kind; together they hold every rank once, and all are of one size.

    world      all ranks
    host       the ranks of each host
    rail       the first rank of each host, the second of each, and so on: ranks that share a rail of the fabric
    size:K     K ranks after one another
    stride:K   ranks whose number leaves the same rest when divided by K (K groups)

    ``hosts`` holds the host name of every rank.

    Raises:
        ValueError: no such kind, or groups that would differ in size.
    """
    check_kind(kind)
    num_ranks = len(hosts)
    word, _, number = kind.partition(":")
    names = list(dict.fromkeys(hosts))
    by_host = [[rank for rank, host in enumerate(hosts) if host == name] for name in names]
    match word:
        case "world":
            return [Group(name=WORLD, ranks=tuple(range(num_ranks)))]
        case "host":
            members = by_host
        case "rail":
            if len({len(ranks) for ranks in by_host}) > 1:
                raise _unequal(kind, by_host)
            members = [list(ranks) for ranks in zip(*by_host, strict=True)]
        case "size":
            step = int(number)
            members = [
                list(range(first, min(first + step, num_ranks))) for first in range(0, num_ranks, step)
            ]
        case _:
            step = int(number)
            members = [list(range(first, num_ranks, step)) for first in range(min(step, num_ranks))]
    if len({len(ranks) for ranks in members}) > 1:
        raise _unequal(kind, members)
    return [Group(name=f"{kind}/{place}", ranks=tuple(ranks)) for place, ranks in enumerate(members)]


def check_kind(kind: str) -> None:
    """Raises ValueError where ``kind`` is not one that `groups_of` knows."""
    if not re.fullmatch(r"world|host|rail|(size|stride):[1-9]\d{0,6}", kind):
        raise ValueError(
            f"groups: {kind!r} is not known. Allowed: world, host, rail, size:K, stride:K (K a number of ranks)"
        )


def _unequal(kind: str, members: Sequence[Sequence[int]]) -> ValueError:
    sizes = sorted({len(ranks) for ranks in members})
    return ValueError(
        f"groups={kind}: the groups would have {' and '.join(map(str, sizes))} ranks; groups that are compared must be of "
        "one size: start a number of ranks that divides evenly"
    )
