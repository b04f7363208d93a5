"""`Criterion`: what an entry of the catalog must be to be listed; `select`: those that are all of it."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.model.optics.cabling import Cabling, parse_cabling, reaches_m, takes
from bench.model.transceiver import Transceiver

MOST_LISTED: Final = 12
"""A sentence that lists more than these is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One condition.

    Attributes:
        label: as it was asked for.
        holds: whether an entry meets it; None where its sources do not say.
        values: what an entry has instead, for a condition that none meets.
    """

    label: str
    holds: Callable[[Transceiver], bool | None]
    values: Callable[[Transceiver], Iterable[str]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Entries that meet every criterion, and how many might if their sources said more, by the label they are silent on."""

    entries: tuple[Transceiver, ...]
    unknown: dict[str, int]
    num_unknown: int


def criteria(
    *,
    words: Sequence[str] = (),
    rate: str | None = None,
    min_reach: str | None = None,
    fibre: str | None = None,
    form_factor: str | None = None,
    fec: str | None = None,
    max_power: str | None = None,
    cooling: str | None = None,
    kind: str | None = None,
) -> list[Criterion]:
    """The conditions that the command line names, as text; units are optional (800, 800G, 1.6T; 500, 500m, 2km; 15, 15W).

    Raises:
        ValueError: a value that cannot be read; names the option and shows one that can.
    """
    found = [_word(word) for word in words]
    medium = None if fibre is None else _cabling(fibre)
    if rate is not None:
        found.append(
            _rate(_quantity("--rate", rate, {"": 1, "g": 1, "gb/s": 1, "t": 1e3, "tb/s": 1e3}, "800"))
        )
    if medium is not None:
        found.append(_fibre(medium))
    if min_reach is not None:
        found.append(_reach(_quantity("--min-reach", min_reach, {"": 1, "m": 1, "km": 1e3}, "500"), medium))
    if form_factor is not None:
        found.append(_form_factor(form_factor))
    if fec is not None:
        found.append(_text("--fec", fec, _codes))
    if max_power is not None:
        found.append(_power(_quantity("--max-power", max_power, {"": 1, "w": 1}, "15")))
    if cooling is not None:
        found.append(_text("--cooling", cooling, lambda entry: entry.cooling))
    if kind is not None:
        found.append(_text("--kind", kind, lambda entry: (entry.kind,)))
    return found


def select(entries: Sequence[Transceiver], asked: Sequence[Criterion]) -> Selection:
    """Those of ``entries`` that meet all of ``asked``, in their order. A source that is silent meets nothing."""
    found: list[Transceiver] = []
    unknown: dict[str, int] = {}
    num_unknown = 0
    for entry in entries:
        answers = [criterion.holds(entry) for criterion in asked]
        if all(answers):
            found.append(entry)
        elif False not in answers:
            num_unknown += 1
            for criterion, answer in zip(asked, answers, strict=True):
                if answer is None:
                    unknown[criterion.label] = unknown.get(criterion.label, 0) + 1
    return Selection(entries=tuple(found), unknown=unknown, num_unknown=num_unknown)


def why_nothing(entries: Sequence[Transceiver], asked: Sequence[Criterion]) -> str:
    """What each criterion alone would have left, and what there is where it would have left nothing."""
    parts = []
    for criterion in asked:
        alone = select(entries, [criterion])
        part = f"{criterion.label} leaves {len(alone.entries)}"
        if alone.num_unknown:
            part += f" ({alone.num_unknown} do not say)"
        values = sorted({value for entry in entries for value in criterion.values(entry)}, key=_by_number)
        if not alone.entries and 0 < len(values) <= MOST_LISTED:
            part += f" (there are: {', '.join(values)})"
        parts.append(part)
    return f"no transceiver is all of this; alone, {'; '.join(parts)}"


def text_of(entry: Transceiver) -> str:
    """What words are looked for in: name, PMD, kind, form factors, rate, fibre, FEC, cooling, InfiniBand generation."""
    parts = [entry.name, entry.pmd or "", entry.kind or "", *entry.form_factors, *entry.cooling]
    parts += [f"{entry.nominal_rate_gbps:g}g", entry.fiber.type if entry.fiber else ""]
    parts += [entry.fec.code if entry.fec else "", entry.ib_generation or ""]
    return " ".join(parts).lower()


def _word(word: str) -> Criterion:
    return Criterion(label=f"the word {word!r}", holds=lambda entry: word.lower() in text_of(entry))


def _rate(rate_gbps: float) -> Criterion:
    return Criterion(
        label=f"--rate {rate_gbps:g}",
        holds=lambda entry: entry.nominal_rate_gbps == rate_gbps,
        values=lambda entry: (f"{entry.nominal_rate_gbps:g}",),
    )


def _fibre(medium: Cabling) -> Criterion:
    return Criterion(label=f"--fibre {medium.value}", holds=lambda entry: takes(entry, medium))


def _reach(least_m: float, medium: Cabling | None) -> Criterion:
    def holds(entry: Transceiver) -> bool | None:
        if medium is not None and takes(entry, medium) is False:
            return False
        reaches = reaches_m(entry, medium)
        return max(reaches.values()) >= least_m if reaches else None

    on = f" on {medium.value}" if medium is not None else ""
    return Criterion(label=f"--min-reach {least_m:g}{on}", holds=holds)


def _power(most_w: float) -> Criterion:
    def holds(entry: Transceiver) -> bool | None:
        power_w = entry.power.power_w_max if entry.power else None
        return None if power_w is None else power_w <= most_w

    return Criterion(label=f"--max-power {most_w:g}", holds=holds)


def _form_factor(asked: str) -> Criterion:
    """The cage by its own name: OSFP is neither OSFP1600 nor OSFP-XD, because the name fixes the lanes and the size."""
    wanted = _bare({"osfp224": "osfp1600"}.get(_bare(asked), asked))  # a trade name of OSFP1600
    return Criterion(
        label=f"--form-factor {asked}",
        holds=lambda entry: (
            any(_bare(name) == wanted for name in _cages(entry)) if entry.form_factors else None
        ),
        values=_cages,
    )


def _cages(entry: Transceiver) -> list[str]:
    return [form_factor.partition(" (")[0] for form_factor in entry.form_factors]


def _codes(entry: Transceiver) -> list[str | None]:
    """Names of the codes. An entry without one says in brackets which its variants have, and that is not its own."""
    if entry.fec is None:
        return []
    code = entry.fec.code.partition(" (")[0] if entry.fec.code.startswith("none") else entry.fec.code
    return [code, entry.fec.inner]


def _bare(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())


def _text(option: str, asked: str, of: Callable[[Transceiver], Iterable[str | None]]) -> Criterion:
    def values(entry: Transceiver) -> list[str]:
        return [value for value in of(entry) if value]

    def holds(entry: Transceiver) -> bool | None:
        return any(asked.lower() in value.lower() for value in values(entry)) if values(entry) else None

    if not asked.strip():
        raise ValueError(f"{option} is empty; give a part of what `linerate catalog` shows, or leave it out")
    return Criterion(label=f"{option} {asked}", holds=holds, values=values)


def _cabling(text: str) -> Cabling:
    try:
        return parse_cabling(text)
    except ValueError as error:
        raise ValueError(f"--fibre: {error}") from None


def _quantity(option: str, text: str, factors: dict[str, float], example: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([a-z/]*)", text.strip().lower())
    if match is None or match[2] not in factors or float(match[1]) <= 0:
        units = ", ".join(unit for unit in factors if unit)
        raise ValueError(
            f"{option} {text!r}: a number above 0 is needed, for example {example} (units: {units})"
        )
    return float(match[1]) * factors[match[2]]


def _by_number(text: str) -> tuple[float, str]:
    return (float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0, text)
