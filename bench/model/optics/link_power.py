"""Power and energy per bit of a link and of all links of a job's ports, as `Draw`: typical and maximum apart."""

from bench.model import units
from bench.model.fabric import Network
from bench.model.optics.built_link import BuiltLink
from bench.model.optics.energy import Parts, Power, parts, total_power
from bench.model.optics.entry import Draw, Entry, exactly, neither
from bench.model.predict import Prediction


def link_power(link: BuiltLink) -> Draw:
    """Watts of both ends; a twin-port module counts by its share."""
    energy = link.energy
    grades = "/".join(dict.fromkeys(grade or "no grade" for grade in energy.grades))
    limit = "; the maximum is an EEPROM's limit, no consumption" if energy.is_eeprom_limit else ""
    return _draw(energy.power, f"data sheets of both ends ({grades}){limit}")


def per_bit(link_w: Draw, low_bytes_per_s: float, high_bytes_per_s: float, of: str) -> Draw:
    """Joules per bit at a rate of one direction between two limits: watts are drawn whether bits pass or not."""

    def entry(watts: Entry) -> Entry:
        if watts.low is None:
            return Entry(basis=watts.basis)
        return Entry(
            low=watts.low / (high_bytes_per_s * units.BITS_PER_BYTE),
            high=watts.low / (low_bytes_per_s * units.BITS_PER_BYTE),
            basis=f"power of the link over {of}",
        )

    return Draw(typical=entry(link_w.typical), maximum=entry(link_w.maximum))


def delivered(link_w: Draw, network: Network | None, prediction: Prediction | None) -> Draw:
    """Joules per payload bit that arrives, at what the optics of one port carry in the predicted time.

    An emulated link is ``scale`` times slower than the one it stands for, whose watts these are.
    """
    if prediction is None or network is None:
        return neither("no prediction")
    load = next((load for load in prediction.loads if load.resource == "optics"), None)
    if load is None:
        return neither("nothing crosses a link")
    shortest_s, longest_s = prediction.low_s, prediction.high_s
    if prediction.duration_s is not None:
        shortest_s = longest_s = prediction.duration_s
    if shortest_s is None or longest_s is None:
        return neither("no duration is predicted")
    payload_bytes = load.payload_bytes * network.scale
    size = units.format_bytes(prediction.spec.message_bytes)
    of = f"payload of one port, {prediction.spec.collective.value} of {size} as predicted"
    return per_bit(link_w, payload_bytes / longest_s, payload_bytes / shortest_s, of)


def job_parts(link: BuiltLink, network: Network) -> tuple[Parts, Parts]:
    """Hosts' ends, where no module serves two hosts, and the other ends, whose modules hosts share."""
    one = parts(link.near, network.ports_per_host, link.near_ports)
    hosts = network.num_hosts
    near = Parts(
        ports=one.ports * hosts,
        modules=one.modules * hosts,
        lasers_low=None if one.lasers_low is None else one.lasers_low * hosts,
        lasers_high=None if one.lasers_high is None else one.lasers_high * hosts,
    )
    return near, parts(link.far, near.ports, link.far_ports)


def job_power(link: BuiltLink, near: Parts, far: Parts) -> Draw:
    """Watts of all these modules, whether they are busy or not. Links between switches are not among them."""
    ends = total_power(link.near, near) + total_power(link.far, far)
    counted = f"{near.modules} modules in hosts and {far.modules} at the other ends"
    return _draw(ends, f"{near.ports} links: {counted}; links between switches not counted")


def _draw(power: Power, basis: str) -> Draw:
    if power.typical_w is None and power.maximum_w is None:
        return neither("no power is published")
    typical, maximum = (
        Entry(basis=f"no {word} power is published") if watts is None else exactly(watts, basis)
        for word, watts in (("typical", power.typical_w), ("maximum", power.maximum_w))
    )
    return Draw(typical=typical, maximum=maximum)
