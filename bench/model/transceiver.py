"""`Transceiver`: one optical module or cable, in the units of its data sheet."""

from dataclasses import dataclass, field
from typing import Any

from bench.model import coding, units


@dataclass(kw_only=True)
class HostInterface:
    """The electrical side. ``raw_gbps`` counts line bits of all lanes together, FEC and coding included."""

    aui: str
    lanes: int
    gbd: float
    modulation: str
    raw_gbps: float


@dataclass(kw_only=True)
class OpticalInterface:
    """The optical side; rates are line rates. ``wavelengths_nm`` is null where the source gives no number."""

    lanes: int
    gbd: float
    modulation: str
    lane_raw_gbps: float
    raw_gbps: float
    wavelengths_nm: list[float] | None = None
    wavelength_note: str | None = None


@dataclass(kw_only=True)
class Fiber:
    """What the light, or the current, runs through."""

    type: str
    fibres: int | None = None
    connector: str | None = None


@dataclass(kw_only=True)
class Fec:
    """The code that Ethernet uses on this PMD. On InfiniBand the code is read from the link, never from the module."""

    code: str
    t_symbols: int | None = None
    terminated: str | None = None
    inner: str | None = None
    pre_fec_ber_threshold: float | None = None


@dataclass(kw_only=True)
class LaneOptics:
    """Per optical lane; OMA is the outer OMA."""

    tx_avg_dbm_min: float | None = None
    tx_avg_dbm_max: float | None = None
    tx_oma_dbm_min: float | None = None
    tx_oma_dbm_max: float | None = None
    tx_oma_minus_tdecq_dbm_min: float | None = None
    tdecq_db_max: float | None = None
    rx_sensitivity_oma_dbm: float | None = None
    rx_stressed_sensitivity_oma_dbm: float | None = None


@dataclass(kw_only=True)
class Power:
    """Electrical power of one module (one end, both directions), in watts."""

    power_w_typ: float | None = None
    power_w_max: float | None = None


@dataclass(kw_only=True)
class ModuleLatency:
    """One end, electrical to optical, in nanoseconds; null almost everywhere because vendors do not publish it."""

    latency_ns_one_end: float | None = None
    latency_note: str | None = None


@dataclass(kw_only=True)
class Transceiver:
    """One module of the catalog. None means that the source does not say, never zero.

    Attributes:
        name: the file's name in conf/transceiver, without suffix; empty in the file itself.
        nominal_rate_gbps: MAC rate of the whole module, in 10**9 bit/s. None: nobody has said which optics are there.
        reach_m: reach of the PMD by medium, in metres.
        channel_insertion_loss_db: one number, or one per fibre type.
        grades: standing of the sources by group of fields: A standard text, B data sheet or tool output, C press or
            second hand, D derived by arithmetic, M well known but not re-verified.
        sources: where the numbers were read, by identifier.
    """

    name: str = ""
    nominal_rate_gbps: float | None = None
    pmd: str | None = None
    ib_generation: str | None = None
    kind: str | None = None
    form_factors: list[str] = field(default_factory=list)
    host: HostInterface | None = None
    optical: OpticalInterface | None = None
    fiber: Fiber | None = None
    reach_m: dict[str, float | None] | None = None
    vendor_reach_m: dict[str, float] | None = None
    fec: Fec | None = None
    lane_optics: LaneOptics | None = None
    channel_insertion_loss_db: Any = None
    power: Power | None = None
    latency: ModuleLatency | None = None
    management: str | None = None
    cooling: list[str] = field(default_factory=list)
    reliability: dict[str, Any] | None = None
    price_class: str | None = None
    grades: dict[str, str | None] = field(default_factory=dict)
    grade_remarks: dict[str, str] | None = None
    notes: str | None = None
    sources: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.nominal_rate_gbps is None:
            return
        where = f"transceiver {self.name or self.pmd!r}"
        if self.nominal_rate_gbps <= 0:
            raise ValueError(
                f"{where}: nominal_rate_gbps is {self.nominal_rate_gbps}; a MAC rate in 10**9 bit/s is above 0"
            )
        if not self.sources:
            raise ValueError(f"{where}: sources is empty; name the document that each number was read from")
        if self.host is not None:
            computed_gbps = coding.mac_rate_gbps(
                self.host.raw_gbps, coding.host_overhead(self.host.modulation)
            )
            if abs(computed_gbps - self.nominal_rate_gbps) > 1e-3 * self.nominal_rate_gbps:
                raise ValueError(
                    f"{where}: host.raw_gbps {self.host.raw_gbps} with {self.host.modulation} carries "
                    f"{computed_gbps:.4g} Gb/s of MAC rate, but nominal_rate_gbps says {self.nominal_rate_gbps}; "
                    "read both again in its sources"
                )

    @property
    def is_known(self) -> bool:
        """False for the placeholder that stands for optics nobody has named."""
        return self.nominal_rate_gbps is not None

    @property
    def is_twin_port(self) -> bool:
        """Whether the module can carry two independent ports, as its form factor says."""
        return any("twin port" in form_factor for form_factor in self.form_factors)

    @property
    def line_rate_gbps(self) -> float | None:
        """Rate on the fibre or cable, coding and FEC included, of the whole module: the optical side's, for copper the host's."""
        side = self.optical or self.host
        return None if side is None else side.raw_gbps

    @property
    def mac_rate_bytes_per_s(self) -> float:
        """What the module offers the MAC per direction: the line rate less coding and FEC.

        Raises:
            ValueError: the optics are not named.
        """
        if self.nominal_rate_gbps is None:
            raise ValueError("transceiver is unknown: it has no rate; name it with transceiver=<name>")
        return units.bytes_per_s_from_gbps(self.nominal_rate_gbps)
