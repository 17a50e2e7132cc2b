"""How much each client moved, counted by nftables while it passes: a table of our own, `inet switchguard_counters`.

    sent4, sent6          what came from a client's address and left for elsewhere
    received4, received6  what came from elsewhere and left for a client's address

One element with a counter per address, made by the first packet and gone a day after the last one. Reading them costs
the gateway a hundred octets per client instead of two hundred per session, and short sessions are not missed. They tell
packets and octets and nothing else: neither how many sessions somebody has, nor with whom.

Counted is what is forwarded between `lan_interfaces` and the others, behind everybody's filters (priority filter + 10),
so that what was dropped is not counted; octets are those of whole IP packets, like conntrack's. Flows that are
offloaded (`flowtable`) pass no chain, and are not seen. A set holds 65,535 addresses; who comes later is not counted.

The script is one transaction and may run any number of times: sets and what they have counted stay, the rules are
written anew. Nothing here drops or delays a packet, and no other table is touched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from switchguard.core.model import Address, ClientOctets
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

from ._lines import json_of
from ._nft_table import quoted_interfaces

TABLE = "inet switchguard_counters"
LISTING = f"nft -j list table {TABLE}"
_SETS = re.compile(r"(?P<way>sent|received)[46]")


def script(device: str, lan_interfaces: Iterable[str]) -> tuple[str, ...]:
    """NotConfigured without interfaces: then nobody knows which side the clients are on."""
    lan = "{ " + ", ".join(quoted_interfaces(device, tuple(lan_interfaces), "counters need")) + " }"
    return (
        f"add table {TABLE}",
        *(
            f"add set {TABLE} {way}{family} {{ type ipv{family}_addr; size 65535; flags dynamic,timeout; timeout 1d; }}"
            for way in ("sent", "received")
            for family in (4, 6)
        ),
        f"add chain {TABLE} count {{ type filter hook forward priority 10; policy accept; }}",
        f"flush chain {TABLE} count",
        *(
            f"add rule {TABLE} count iifname {inside}{lan} oifname {outside}{lan} "
            f"update @{way}{family} {{ {'ip' if family == 4 else 'ip6'} {side} counter }}"
            for way, side, inside, outside in (("sent", "saddr", "", "!= "), ("received", "daddr", "!= ", ""))
            for family in (4, 6)
        ),
    )


def install(session: Session) -> None:
    device = session.device
    session.feed("nft -f -", "\n".join((*script(device.name, device.lan_interfaces), "")))


def remove(session: Session) -> None:
    """Also where there are none."""
    session.feed("nft -f -", f"add table {TABLE}\ndelete table {TABLE}\n")


def read(session: Session) -> tuple[ClientOctets, ...]:
    """CommandRefused where the counters were never installed, or are gone since the last restart."""
    device = session.device.name
    document = json_of(session, session.ask(LISTING))
    objects = document.get("nftables") if isinstance(document, Mapping) else None
    if not isinstance(objects, list):
        raise UnexpectedOutput(device, str(document)[:80], "no list of nftables objects")
    found: dict[tuple[Address, str], tuple[int, int]] = {}
    for listed in (thing["set"] for thing in objects if "set" in thing):
        if name := _SETS.fullmatch(str(listed.get("name"))):
            found |= {(address, name["way"]): counts for address, counts in _elements(device, listed)}
    return tuple(_rows(device, found))


def _elements(device: str, listed: Mapping[str, Any]) -> Iterator[tuple[Address, tuple[int, int]]]:
    for element in listed.get("elem", ()):
        try:
            counter = element["elem"]["counter"]
            yield ip_address(element["elem"]["val"]), (int(counter["bytes"]), int(counter["packets"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedOutput(device, f"{listed['name']}: {element}", "an element that counts nobody") from error


def _rows(device: str, found: Mapping[tuple[Address, str], tuple[int, int]]) -> Iterator[ClientOctets]:
    for address in dict.fromkeys(address for address, _ in found):
        sent, received = (found.get((address, way), (0, 0)) for way in ("sent", "received"))
        yield ClientOctets(device, address, received[0], sent[0], received[1], sent[1])
