"""`add_loss`: packets that reach an emulated host are lost at random, by a rule of nftables at the ingress of
its links.

Loss by netem would need a module that many kernels lack, and would come before the token bucket. The rule
comes after it: what is lost has used the line. In the notation of the nft program:

    table netdev linerate { chain fab0 { type filter hook ingress device fab0 priority 0;
        counter
        numgen random mod 1000000000 < 1000000 counter drop
    } }

A sender's segments of up to 64 KiB would be lost as one packet; `without_segment_offload` has the kernel cut
them before they leave the host.
"""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.nftables.expressions import verdict
from pyroute2.nftables.main import NFTables

_TABLE: Final = "linerate"
_MODULUS: Final = 10**9
_NETDEV_FAMILY: Final = 5  # NFPROTO_NETDEV
_INGRESS: Final = 0  # NF_NETDEV_INGRESS
_ACCEPT: Final = 1  # NF_ACCEPT
_DROP: Final = 0  # NF_DROP
_REGISTER: Final = 1  # NFT_REG_1
_RANDOM: Final = 1  # NFT_NG_RANDOM
_HTON: Final = 1  # NFT_BYTEORDER_HTON
_LESS: Final = 2  # NFT_CMP_LT


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCount:
    """Packets and bytes that reached one interface, and how many of the packets were lost there."""

    interface: str
    arrived_packets: int
    arrived_bytes: int
    lost_packets: int


def add_loss(interfaces: Iterable[str], loss_ratio: float) -> None:
    """Lose ``loss_ratio`` of the packets that arrive by each of ``interfaces`` of this network namespace.

    Raises:
        OSError: the kernel has no nftables with ingress chains of interfaces, or no random numbers in them.
    """
    draw = _expression("numgen", "NG", DREG=_REGISTER, MODULUS=_MODULUS, TYPE=_RANDOM, OFFSET=0)
    # Numbers are compared as bytes, the highest first.
    swap = _expression("byteorder", "BYTEORDER", SREG=_REGISTER, DREG=_REGISTER, OP=_HTON, LEN=4, SIZE=4)
    bound = struct.pack(">I", round(loss_ratio * _MODULUS))
    compare = _expression(
        "cmp", "CMP", SREG=_REGISTER, OP=_LESS, DATA={"attrs": [("NFTA_DATA_VALUE", bound)]}
    )
    count = _expression("counter", "COUNTER")
    with _nftables() as nft:
        nft.table("add", name=_TABLE)
        for interface in interfaces:
            hook = [
                ("NFTA_HOOK_HOOKNUM", _INGRESS),
                ("NFTA_HOOK_PRIORITY", 0),
                ("NFTA_HOOK_DEV", interface),
            ]
            # Keyword `hook` of `chain` takes names of the hooks of IP alone.
            nft.chain(
                "add",
                kwarg={
                    "table": _TABLE,
                    "name": interface,
                    "type": "filter",
                    "policy": _ACCEPT,
                    "hook": {"attrs": hook},
                },
            )
            nft.rule("add", table=_TABLE, chain=interface, expressions=([count],))
            nft.rule(
                "add",
                table=_TABLE,
                chain=interface,
                expressions=([draw, swap, compare, count], verdict(_DROP)),
            )


def loss_counts() -> list[LossCount]:
    """What the rules of `add_loss` have counted in this network namespace."""
    counters: dict[str, list[tuple[int, int]]] = {}
    with _nftables() as nft:
        for rule in nft.get_rules():
            if rule.get_attr("NFTA_RULE_TABLE") != _TABLE:
                continue
            for expression in rule.get_attr("NFTA_RULE_EXPRESSIONS"):
                if expression.get_attr("NFTA_EXPR_NAME") == "counter":
                    data = expression.get_attr("NFTA_EXPR_DATA")
                    counters.setdefault(rule.get_attr("NFTA_RULE_CHAIN"), []).append(
                        (int(data.get_attr("NFTA_COUNTER_PACKETS")), int(data.get_attr("NFTA_COUNTER_BYTES")))
                    )
    return [
        LossCount(
            interface=interface, arrived_packets=arrived[0], arrived_bytes=arrived[1], lost_packets=lost[0]
        )
        for interface, (arrived, lost) in counters.items()
    ]


def without_segment_offload(interfaces: Iterable[str]) -> None:
    """Have TCP segments cut to the MTU before they leave by ``interfaces``: `ethtool -K ... tso off`.

    Raises:
        OSError: an interface refuses.
    """
    for interface in interfaces:
        device = IoctlEthtool(interface)
        try:
            device.set_offload_flag("tcp-segmentation-offload", 0)
        except EthtoolError as error:
            raise OSError(errno.EOPNOTSUPP, f"{interface} cannot leave segmentation offload") from error
        finally:
            device.close()


@contextmanager
def _nftables() -> Iterator[Any]:
    try:
        with NFTables(nfgen_family=_NETDEV_FAMILY) as nft:
            yield nft
    except NetlinkError as error:
        raise _missing(error.code) from error
    except OSError as error:
        raise _missing(error.errno or errno.EOPNOTSUPP) from error


def _missing(code: int) -> OSError:
    return OSError(
        code,
        f"nftables: {os.strerror(code)}; losing packets needs CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_NUMGEN of the Linux "
        "kernel (modules nf_tables, nft_numgen)",
    )


def _expression(name: str, prefix: str, **attributes: object) -> dict[str, object]:
    data = [(f"NFTA_{prefix}_{key}", value) for key, value in attributes.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": data})]}
