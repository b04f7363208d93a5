"""`Tally`: every line of a log is counted once, under what it was taken for."""

from collections import Counter

from bench.importers.foreign import Unread

EXCERPT_CHARS = 120
"""What is shown of a line that was not understood: the widest row of a benchmark, so that its columns can be told."""

NOT_UNDERSTOOD = "not understood"
OTHER_PROGRAM = "other program"
OTHERS = "printed by another program"


class Tally:
    """Lines by kind, and ranges of those that were not read, in the order of the file."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unread: list[Unread] = []

    def take(self, kind: str) -> None:
        """Count one line that was understood."""
        self.counts[kind] += 1

    def leave(
        self, line: int, reason: str, *, excerpt: str | None = None, kind: str = NOT_UNDERSTOOD
    ) -> None:
        """Count one line that was not read, and join it to the range before if that ends with the line before, for the same
        reason and without an excerpt."""
        self.counts[kind] += 1
        shown = None if excerpt is None else excerpt.strip()[:EXCERPT_CHARS]
        last = self.unread[-1] if self.unread else None
        if (
            last is not None
            and shown is None
            and last.excerpt is None
            and (last.reason, last.last_line) == (reason, line - 1)
        ):
            first_line = last.first_line
            self.unread[-1] = Unread(first_line=first_line, last_line=line, reason=reason)
        else:
            self.unread.append(Unread(first_line=line, last_line=line, reason=reason, excerpt=shown))

    def leave_other(self, line: int) -> None:
        """Count one line that another program printed. It is not shown: it may hold anything."""
        self.leave(line, OTHERS, kind=OTHER_PROGRAM)

    def remark(self, reason: str) -> None:
        """Something within a line that was not read: a key, a hole in JSON. Counts no line."""
        self.unread.append(Unread(first_line=0, last_line=0, reason=reason))

    def lines(self) -> dict[str, int]:
        """Lines by kind, most frequent first."""
        return dict(self.counts.most_common())
