"""`Started`: one start of one test while its lines are read, and what follows from them together once they are all there.

Which collective. "Collective test starting" says it since 2025. Older logs may hold the command; otherwise the columns and
busbw / algbw decide, where they leave one possibility.

How many ranks. The device lines, if they are whole; else the one number whose factor fits busbw / algbw of every row. Where
the list contradicts the factor, the factor counts: lines of a list get lost, and rows are computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.importers.foreign import ForeignTable
from bench.importers.nccl_names import (
    FACTORS,
    UNKNOWN,
    Ratio,
    Shape,
    collective_of,
    common_ratio,
    is_possible,
    possible,
    ranks_of,
)
from bench.importers.nccl_points import Context, iterations_of, point_of, ratios_of, statistic_of
from bench.importers.nccl_preamble import Devices, Footer, Mention
from bench.importers.nccl_rows import IN_PLACE, Columns, Row

_PASSES: Final = ("latency", "bandwidth")


@dataclass(slots=True, kw_only=True)
class Started:
    """Attributes: as `ForeignTable` names them.

    ``mentions``: lines before it that name a test. ``is_concluded``: "Collective test concluded" was read. ``in_cycle``: a
    stress cycle began, so a header may stand again. ``measure_pass``: other than nccl-tests' own in linerate's tables.
    """

    line: int
    mentions: tuple[Mention, ...] = ()
    program: str | None = None
    columns: Columns | None = None
    rows: list[Row] = field(default_factory=list)
    devices: Devices = field(default_factory=Devices)
    footer: Footer = field(default_factory=Footer)
    settings: dict[str, int | float | str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    is_concluded: bool = False
    in_cycle: bool = False
    statistic: str | None = None
    measure_pass: str = "bandwidth"

    @property
    def is_rccl(self) -> bool:
        return not {"rccl-tests", "rccl"}.isdisjoint(self.versions)

    @property
    def is_over(self) -> bool:
        """Whether a further start is another one."""
        return self.has_footer or bool(self.rows)

    def is_left_behind(self, is_new: bool, text: str) -> bool:
        """Whether ``text``, a line of a preamble, is of another start: this one had come further.

        ``is_new``: the line stands before the configuration, or trouble does since this start. Else two configurations are of
        processes that print at the same time.
        """
        is_further = self.is_over or bool(self.devices.listed) or self.columns is not None
        return is_further or (is_new and bool(self.settings) and "Using devices" not in text)

    @property
    def has_footer(self) -> bool:
        return self.footer.has_average or self.footer.out_of_bounds is not None or self.is_concluded

    def successor(self, line: int, mentions: tuple[Mention, ...]) -> "Started":
        """The table of a header after rows. Without a footer between them it is of the same job."""
        if self.has_footer:
            return Started(line=line, mentions=mentions)
        return Started(
            line=line,
            mentions=self.mentions,
            program=self.program,
            devices=self.devices,
            settings=dict(self.settings),
            versions=dict(self.versions),
            statistic=self.statistic,
            measure_pass=self.measure_pass,
        )

    def finished(self, warnings: list[str]) -> ForeignTable | None:
        """The table; None without a row. What is doubtful is said in ``warnings``."""
        columns = self.columns
        if columns is None or not self.rows:
            return None
        rows = tuple(self.rows)
        ratios = list(ratios_of(rows, columns))
        ratio = common_ratio(ratios) or (ratios[0] if ratios else None)
        is_split, group_ranks = self.devices.group_ranks()
        listed = self.devices.num_ranks()
        mention = None
        if self.program is not None:
            collective = collective_of(self.program)
        else:
            told, shape = group_ranks if is_split else listed, _shape(rows)
            mention = self._mentioned(shape, ratio, told) or self._mentioned(shape, ratio, None)
            if mention is None:  # a list of devices may have lost lines: then nothing fits its number
                left = possible(shape, ratio, told) or possible(shape, ratio, None)
                collective = left[0] if len(left) == 1 else UNKNOWN
                warnings.append(_unnamed(collective, left))
            else:
                collective = mention.collective
        average = self._average(collective)
        if average is not None:
            self.settings.setdefault("average", average)
        num_ranks, source = self._ranks(collective, ratio, is_split, warnings)
        if mention is not None and mention.num_ranks is not None:
            num_ranks, source = mention.num_ranks, "given"
        if is_split and group_ranks is None and ratio is not None:
            group_ranks = ranks_of(collective, ratio)
        if self.devices.is_listed_twice():
            warnings.append(
                "a rank is listed for several processes: they did not know each other, and each row is of one of them"
            )
        context = Context(
            columns=columns,
            collective=collective,
            num_ranks=group_ranks if is_split else num_ranks,
            statistic=self.statistic or statistic_of(columns, self.settings),
            num_iterations=iterations_of(self.settings),
            measure_pass=self.measure_pass if self.measure_pass in _PASSES else "bandwidth",
        )
        stamps = [row.stamp for row in rows if row.stamp is not None]
        missing = self._missing()
        family = "nccom-test" if columns.is_nccom else "rccl-tests" if self.is_rccl else "nccl-tests"
        return ForeignTable(
            program=self.program or (mention.program if mention else None),
            family=family,
            layout=f"{family} text, {columns.num_tokens} tokens",
            library={"nccom-test": "neuron", "rccl-tests": "rccl"}.get(
                family, "rccl" if self.devices.are_amd() else "nccl"
            ),
            points=tuple(point_of(row, context) for row in rows),
            devices=tuple(self.devices.listed),
            num_ranks=num_ranks,
            num_ranks_source=source,
            group_ranks=group_ranks if is_split else None,
            settings=self.settings,
            versions=self.versions,
            out_of_bounds=self.footer.out_of_bounds,
            average_busbw_gbytes_per_s=self.footer.average_gbytes_per_s,
            is_complete=missing is None,
            why_partial=missing,
            started=stamps[0] if stamps else None,
            ended=stamps[-1] if stamps else None,
        )

    def without_rows(self) -> ForeignTable:
        """A test that began and of which nothing else is known."""
        family = "rccl-tests" if self.is_rccl else "nccl-tests"
        # Without a header behind it, nobody knows whether the list of devices is whole.
        listed = None if self.columns is None else self.devices.num_ranks()
        return ForeignTable(
            program=self.program,
            family=family,
            layout=f"{family} text",
            library="rccl" if self.is_rccl or self.devices.are_amd() else "nccl",
            points=(),
            devices=tuple(self.devices.listed),
            num_ranks=listed,
            num_ranks_source=None if listed is None else "devices",
            settings=self.settings,
            versions=self.versions,
            is_complete=False,
            why_partial=f"{self.program or 'a test'} printed no row",
        )

    def _missing(self) -> str | None:
        if self.footer.has_average:
            return None
        if self.footer.out_of_bounds is not None:
            return "the footer is cut: no average"
        return "no footer: the test did not end, or the file was cut"

    def _mentioned(self, shape: Shape, ratio: Ratio | None, num_ranks: int | None) -> Mention | None:
        """The one test named before the table that its rows can be of; commands count before other mentions."""
        if self.columns is not None and self.columns.is_nccom:
            return next(
                (mention for mention in reversed(self.mentions) if mention.program == "nccom-test"), None
            )
        for are_commands in (True, False):
            named = [
                mention
                for mention in self.mentions
                if mention.is_command == are_commands
                and mention.program != "nccom-test"
                and is_possible(mention.collective, shape, ratio, num_ranks)
            ]
            if len({mention.collective for mention in named}) == 1:
                return named[-1]
            if named:
                return None
        return None

    def _average(self, collective: str) -> int | None:
        """-a of the command, where every command of that test before the table says the same."""
        options = {m.average for m in self.mentions if m.is_command and m.collective == collective}
        return options.pop() if len(options) == 1 else None

    def _ranks(
        self, collective: str, ratio: Ratio | None, is_split: bool, warnings: list[str]
    ) -> tuple[int | None, str | None]:
        listed, factor = self.devices.num_ranks(), FACTORS.get(collective)
        inferred = None if ratio is None or is_split else ranks_of(collective, ratio)
        if listed is not None:
            if ratio is None or factor is None or is_split or ratio.fits(factor(listed)):
                return listed, "devices"
            if inferred is None:
                warnings.append(
                    f"{listed} ranks are listed, but busbw / algbw is {ratio.low:.4g} to {ratio.high:.4g}, which is not theirs"
                )
                return listed, "devices"
            warnings.append(
                f"{listed} ranks are listed, but busbw / algbw is that of {inferred} ranks, which are taken for their number"
            )
        if inferred is not None:
            return inferred, "inferred"
        by_process = self.devices.num_ranks_by_process(self.settings) if self.devices.is_cut else None
        return by_process, None if by_process is None else "inferred"


def _unnamed(collective: str, left: Sequence[str]) -> str:
    if collective != UNKNOWN:
        return f"the log does not name the test; columns and busbw / algbw are those of {collective}"
    among = ", ".join(left) or "no test of nccl-tests"
    return f"the log does not name the test; columns and busbw / algbw leave {among}"


def _shape(rows: Sequence[Row]) -> Shape:
    checked: dict[str, list[bool]] = {"out": [], "in": []}
    for row in rows:
        for placement, half in row.halves:
            name = "in" if placement == IN_PLACE else "out"
            checked[name].append(half.get("wrong", half.get("error", "N/A")) != "N/A")
    is_checked = None
    if any(checked["in"]):
        is_checked = True
    elif any(checked["out"]) and checked["in"]:
        is_checked = False
    return Shape(
        has_operator=any(row.redop not in (None, "", "none") for row in rows),
        has_root=any(row.root is not None and row.root >= 0 for row in rows),
        is_operator_empty=any(row.redop == "" for row in rows),
        is_checked_in_place=is_checked,
    )
