"""`Entry`: one quantity of a link as an interval, with what it rests on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A quantity, at least ``low`` and at most ``high``. None: no limit is known on that side.

    ``basis``: what it rests on, with grade (A standard text; B data sheet or output of a tool; C second hand; D
    arithmetic; M well known, not checked). Where both limits are None: why it is not known, or what to give.
    """

    low: float | None = None
    high: float | None = None
    basis: str

    @property
    def is_known(self) -> bool:
        return self.low is not None or self.high is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Typical and maximum of power or energy, which are never mixed."""

    typical: Entry
    maximum: Entry


def exactly(value: float, basis: str) -> Entry:
    """An interval of one value."""
    return Entry(low=value, high=value, basis=basis)


def neither(basis: str) -> Draw:
    """Unknown, typical and maximum, for one reason."""
    unknown = Entry(basis=basis)
    return Draw(typical=unknown, maximum=unknown)
