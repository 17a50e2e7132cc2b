"""The JSON of iproute2 (`ip -j`, `bridge -j`) and of lldpctl -> core values. A row of another shape is an error."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from switchguard.core.model import Address, FdbEntry, Interface, Link, Mac, Neighbor, PortCounters
from switchguard.errors import UnexpectedOutput
from switchguard.ports import Session

Row = Mapping[str, Any]

_KNOWN = {"REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"}
_UNKNOWN = {"FAILED", "INCOMPLETE", "NOARP", "NONE"}
"""Neighbour states (RFC 4861, 7.3.2, and Linux' own) in which the row says, or does not say, where an address is."""
_LEARNED, _STATIC, _OWN = {"", "stale", "reachable"}, "static", "permanent"
_UP, _DOWN = {"UP"}, {"DOWN", "LOWERLAYERDOWN", "NOTPRESENT", "DORMANT"}
_CAPABILITIES = {
    "Bridge": "bridge",
    "Router": "router",
    "Wlan": "wlan-access-point",
    "Tel": "telephone",
    "Station": "station-only",
}
"""lldpctl's words -> ours."""


@contextmanager
def _reading(session: Session, row: object) -> Iterator[None]:
    """What goes wrong inside is this row's fault."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnexpectedOutput(session.device.name, str(row), f"a row without {error}") from error


def own_addresses(session: Session, rows: Iterable[Row]) -> frozenset[Address]:
    found = set()
    for row in rows:
        with _reading(session, row):
            found |= {ip_address(info["local"]) for info in row["addr_info"] if "local" in info}
    return frozenset(found)


def neighbors(session: Session, rows: Iterable[Row]) -> Iterator[Neighbor]:
    """Of `ip -j neigh show`: rows that have a MAC, unless it is zero or multicast."""
    for row in rows:
        with _reading(session, row):
            states, address, interface = set(row["state"]), ip_address(row["dst"]), str(row["dev"])
            if not states or states - _KNOWN - _UNKNOWN:
                raise ValueError(f"a known state among {sorted(states)}")
            if states & _UNKNOWN or "lladdr" not in row:
                continue
            mac = Mac.parse(row["lladdr"])
        if mac.value and not mac.is_multicast and not address.is_multicast:
            yield Neighbor(session.device.name, interface, address, mac)


def stations(session: Session, rows: Iterable[Row]) -> Iterator[FdbEntry]:
    """Of `bridge -j fdb show`: what the bridge learned or was told. Rows of a port itself (`self`), of the bridge's own
    addresses (`permanent`) and of multicast groups are no stations."""
    for row in rows:
        with _reading(session, row):
            mac, port, state, flags = Mac.parse(row["mac"]), str(row["ifname"]), row["state"], set(row["flags"])
            vlan = int(row["vlan"]) if "vlan" in row else None
            if state not in {*_LEARNED, _STATIC, _OWN}:
                raise ValueError(f"a known state, but {state!r}")
        if "master" in row and "self" not in flags and state != _OWN and not mac.is_multicast and mac.value:
            yield FdbEntry(session.device.name, port, mac, vlan, state == _STATIC)


def interfaces(session: Session, rows: Iterable[Row]) -> Iterator[Interface]:
    """Of `ip -j link show`, which does not tell the speed."""
    for row in rows:
        with _reading(session, row):
            mac = Mac.parse(row["address"]) if row["link_type"] == "ether" else None
            state = str(row["operstate"])
            up = True if state in _UP else False if state in _DOWN else None
            yield Interface(
                session.device.name, str(row["ifname"]), int(row["ifindex"]), mac, str(row.get("ifalias", "")), up
            )


def counters(session: Session, rows: Iterable[Row], at: datetime, uptime_s: float) -> Iterator[PortCounters]:
    """Of `ip -j -s link show`."""
    for row in rows:
        with _reading(session, row):
            stats = row["stats64"]
            received, sent = int(stats["rx"]["bytes"]), int(stats["tx"]["bytes"])
            yield PortCounters(session.device.name, str(row["ifname"]), at, received, sent, uptime_s=uptime_s)


def lldp_neighbors(session: Session, answer: Any) -> Iterator[Link]:
    """Of `lldpctl -f json0`, in which every value is a list of objects; CDP neighbours are among them."""
    with _reading(session, answer):
        rows = [row for part in answer["lldp"] for row in part.get("interface", [])]
    for row in rows:
        with _reading(session, row):
            chassis = row["chassis"][0]
            kind, value = chassis["id"][0]["type"], str(chassis["id"][0]["value"])
            mac = Mac.parse(value) if kind == "mac" else None
            name = str(chassis["name"][0]["value"]) if chassis.get("name") else value
            enabled = {can["type"] for can in chassis.get("capability", []) if can["enabled"]}
            words = frozenset(_CAPABILITIES[word] for word in enabled if word in _CAPABILITIES)
            yield Link(session.device.name, str(row["name"]), name, words, mac)
