"""`LinkConfig`: the group `link:` of a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench import catalog
from bench.model.fabric import Fabric
from bench.model.optics.cabling import parse_cabling
from bench.model.optics.finding import Finding
from bench.model.optics.medium import LIGHT_M_PER_S
from bench.model.optics.pairing import ports_of, problems
from bench.model.transceiver import Transceiver

LEAST_BER: Final = 1e-20
"""No link has counted a lower bit error ratio: one error in 1e20 bits takes 1.8 years at the 1.7 Tb/s of a 1.6T module.
mlxlink's 15E-255 stands for "no error was seen"."""

MOST_MARGIN_DB: Final = 25.0
"""From the 5 dBm that damage a receiver (grade B: Edgecore ET7502-DR4) to the -20 dBm that the most sensitive module of the
catalog needs (400ZR, unamplified)."""


@dataclass(kw_only=True)
class LinkConfig:
    """One link as it was built and as it reports itself. null: not known, and then neither checked nor modelled.

    Attributes:
        far: the module at the other end, by name or path like ``transceiver``; null is the same module.
        medium: SMF, OM3, OM4, OM5, MMF, copper or DAC; null is what the modules are made for.
        length_m: of the cable.
        fec: the code that runs, in the words of the tool that reports it. It is read from the link, never from the module.
        pre_fec_ber: bit error ratio before correction, of the worst lane.
        margin_db: optical decibels above the receiver's sensitivity; negative where the light does not suffice.
        error_floor_ber: the ratio that more light does not lower, as it was measured.
        loss_ratio: packets lost after FEC, of those sent.
        rtt_us: there and back, in microseconds, without queues.
        congestion_control: as the adapter or the kernel names it.
    """

    far: Any = None
    medium: str | None = None
    length_m: float | None = None
    fec: str | None = None
    pre_fec_ber: float | None = None
    margin_db: float | None = None
    error_floor_ber: float | None = None
    loss_ratio: float | None = None
    rtt_us: float | None = None
    congestion_control: str | None = None

    def __post_init__(self) -> None:
        self.far = _far(self.far)
        if self.medium is not None:
            try:
                self.medium = parse_cabling(self.medium).value
            except ValueError as error:
                raise ValueError(f"link.medium: {error}") from None
        for key in ("fec", "congestion_control"):
            text = getattr(self, key)
            if text is not None and not text.strip():
                raise ValueError(f"link.{key} is empty; write what the link reports, or null")
        if self.length_m is not None and not 0 < self.length_m <= 1e6:
            raise ValueError(f"link.length_m is {self.length_m:g}; allowed is above 0 to 1e6 metres, or null")
        for key in ("pre_fec_ber", "error_floor_ber"):
            _check_ber(f"link.{key}", getattr(self, key))
        if (
            self.pre_fec_ber is not None
            and self.error_floor_ber is not None
            and self.error_floor_ber > self.pre_fec_ber
        ):
            raise ValueError(
                f"link.error_floor_ber is {self.error_floor_ber:g} and link.pre_fec_ber {self.pre_fec_ber:g}; a link cannot be "
                "better than its floor: correct one of the two"
            )
        if self.margin_db is not None and not -MOST_MARGIN_DB <= self.margin_db <= MOST_MARGIN_DB:
            raise ValueError(
                f"link.margin_db is {self.margin_db:g}; no receiver has more than {MOST_MARGIN_DB:g} dB between the least light it "
                f"needs and damage: allowed is {-MOST_MARGIN_DB:g} to {MOST_MARGIN_DB:g}"
            )
        if self.loss_ratio is not None and not 0 <= self.loss_ratio < 1:
            raise ValueError(
                f"link.loss_ratio is {self.loss_ratio:g}; it is the part of packets lost after FEC: 0 to below 1, for example 1e-6"
            )
        self._check_round_trip()

    def problems(self, module: Transceiver, fabric: Fabric) -> list[Finding]:
        """What is wrong or odd about this link, with ``module`` in a port of ``fabric`` at its near end."""
        cabling = None if self.medium is None else parse_cabling(self.medium)
        return [
            finding
            for port in ports_of(fabric)
            for finding in problems(
                module, self.far, medium=cabling, length_m=self.length_m, fec=self.fec, port=port
            )
        ]

    def _check_round_trip(self) -> None:
        if self.rtt_us is None:
            return
        if not 0 < self.rtt_us <= 1e6:
            raise ValueError(
                f"link.rtt_us is {self.rtt_us:g}; allowed is above 0 to 1e6 microseconds (a second), or null"
            )
        least_us = 2 * (self.length_m or 0.0) / LIGHT_M_PER_S * 1e6
        if self.rtt_us < least_us:
            raise ValueError(
                f"link.rtt_us is {self.rtt_us:g}, but light needs {least_us:.4g} us for link.length_m={self.length_m:g} there and "
                "back in vacuum, and half as much again in glass; correct one of the two"
            )


def _far(value: Any) -> Transceiver | None:
    """The module at the far end: by name, by path, or as JSON has kept it. The configuration holds the module itself."""
    if value is None or isinstance(value, Transceiver):
        return value
    try:
        if isinstance(value, str):
            if value == "auto":
                raise ValueError(
                    "'auto' is for transceiver; name a module, or leave it null for the same one"
                )
            return catalog.transceiver(value)
        if isinstance(value, Mapping):
            return catalog.from_mapping(Transceiver, value, "transceiver")
    except ValueError as error:
        raise ValueError(f"link.far: {error}") from None
    raise ValueError(
        f"link.far is {value!r}; give the name of a transceiver (`linerate catalog` lists them), a path, or null"
    )


def _check_ber(key: str, ratio: float | None) -> None:
    if ratio is None or LEAST_BER <= ratio <= 0.5:
        return
    if 0 <= ratio < LEAST_BER:
        raise ValueError(
            f"{key} is {ratio:g}, which no link can have counted: where no error was seen in N bits the ratio is below 3/N; give "
            "that bound, or null"
        )
    raise ValueError(f"{key} is {ratio:g}; a bit error ratio is {LEAST_BER:g} to 0.5, where 0.5 is noise")
