"""Tables of Junos switches and firewalls: forwarding (XML), neighbours and the size of the session table (text).

`show ethernet-switching table` prints half a dozen layouts; `| display xml` two. With ELS (Enhanced Layer 2 Software:
EX2300 and younger, QFX) rows are `l2ng-mac-entry`, without it `mac-table-entry`; an empty table is a summary in either.
Both name VLANs, and do not number them: numbers come from the configuration. XML closes what it opened, so half an
answer is none.

A row that leads to no port is left out: `*` (flooding), `vtep.n` and `esi.n` (another switch's), `Router` and `irb`
(the switch itself).
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from xml.etree import ElementTree

from switchguard.core.model import FdbEntry, Mac, Neighbor
from switchguard.errors import UnexpectedOutput

from ._rows import rows

_ELS, _OLD = "l2ng-l2ald-rtb-macdb", "ethernet-switching-table-information"
_NOT_HERE = re.compile(r"(?:vtep|esi|irb|vlan|lsi|pip|remote-vtep)[.-].*|Router|All-members|flood|CPU|-", re.IGNORECASE)
_PORT = re.compile(r"(?:[a-z]{2,3}-\d+/\d+/\d+(?::\d+)?|(?:ae|reth)\d+)(?:\.\d+)?")
_FIRST_UNIT = re.compile(r"\.0$")


def physical(port: str) -> str:
    """`ge-0/0/1.0` as counters, LLDP and an access port's limit call it; other units keep their number."""
    return _FIRST_UNIT.sub("", port) if _PORT.fullmatch(port) else port


def is_port(text: str) -> bool:
    """A port or aggregate of the front panel, with or without unit."""
    return _PORT.fullmatch(text) is not None


def fdb(device: str, text: str, vlans: Mapping[str, int]) -> Iterator[FdbEntry]:
    """`vlans`: name -> number; a VLAN that is not there has None."""
    table = _table(device, text)
    for row in table.iter():
        match _name(row):
            case "l2ng-mac-entry":
                yield from _els_row(device, row, vlans)
            case "mac-table-entry" if _texts(row, "mac-vlan"):
                yield from _old_row(device, row, vlans)


def has_els(device: str, text: str) -> bool:
    """Of any answer to `show ethernet-switching table ... | display xml`."""
    return _name(_table(device, text)) == _ELS


def _els_row(device: str, row: ElementTree.Element, vlans: Mapping[str, int]) -> Iterator[FdbEntry]:
    vlan, mac, flags, port = (
        _one(device, row, f"l2ng-l2-mac-{field}") for field in ("vlan-name", "address", "flags", "logical-interface")
    )
    yield from _entry(device, port, mac, vlans.get(vlan), "S" in flags.split(",")[0])


def _old_row(device: str, row: ElementTree.Element, vlans: Mapping[str, int]) -> Iterator[FdbEntry]:
    vlan, mac, sort = (_one(device, row, field) for field in ("mac-vlan", "mac-address", "mac-type"))
    if sort not in ("Learn", "Static", "Flood", "Persistent"):
        raise UnexpectedOutput(device, sort, "a forwarding entry of a sort that we do not know")
    for port in _texts(row, "mac-interfaces"):
        yield from _entry(device, port, mac, vlans.get(vlan), sort == "Static")


def _entry(device: str, port: str, mac: str, vlan: int | None, static: bool) -> Iterator[FdbEntry]:
    if mac == "*" or _NOT_HERE.fullmatch(port):
        return
    if not is_port(port):
        raise UnexpectedOutput(device, port, "a forwarding entry on no port that we know")
    yield FdbEntry(device, physical(port), _mac(device, mac), vlan, static)


def _mac(device: str, text: str) -> Mac:
    try:
        return Mac.parse(text)
    except ValueError:
        raise UnexpectedOutput(device, text, "no MAC") from None


# --- XML -------------------------------------------------------------------------------------------------------------


def _table(device: str, text: str) -> ElementTree.Element:
    """The element that is the table. UnexpectedOutput for anything but one whole document with one table."""
    try:
        reply = ElementTree.fromstring(text.strip())  # noqa: S314  expat bounds entities; the device is the site's own
    except (ElementTree.ParseError, ValueError) as error:
        raise UnexpectedOutput(device, text.strip()[-80:], f"no whole XML ({error})") from None
    stray = [said.strip() for part in reply.iter() for said in (part.tail, part.text if len(part) else "") if said]
    tables = [part for part in reply if _name(part) in (_ELS, _OLD)]
    if any(stray) or len(tables) != 1:
        raise UnexpectedOutput(device, "".join(stray)[:80] or text.strip()[:80], "no forwarding table")
    return tables[0]


def _name(part: ElementTree.Element) -> str:
    """Without its namespace, which has the release in it."""
    return part.tag.rpartition("}")[2]


def _texts(row: ElementTree.Element, name: str) -> list[str]:
    return [(part.text or "").strip() for part in row.iter() if _name(part) == name]


def _one(device: str, row: ElementTree.Element, name: str) -> str:
    match _texts(row, name):
        case [text] if text and not re.search(r"\s", text):
            return text
    shown = ElementTree.tostring(row, encoding="unicode")
    raise UnexpectedOutput(device, " ".join(shown.split())[:160], f"a forwarding entry without one {name}")


# --- text ------------------------------------------------------------------------------------------------------------

_MAC_TEXT = r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}"
_ARP_HEADING = re.compile(r" *MAC Address +Address +Interface +Flags")
_ARP_ROW = re.compile(
    rf" *({_MAC_TEXT}) +(\d+(?:\.\d+){{3}}) +([a-z][\w./:-]*)(?: \[[\w./:-]+\])? +([a-z]+(?: [a-z]+)*)"
    r"| *Total entries: (\d+)",
    re.IGNORECASE,
)


def arp(device: str, text: str) -> Iterator[Neighbor]:
    """UnexpectedOutput unless the total is that of the rows."""
    total, count = None, 0
    for row in rows(device, text, _ARP_ROW, _ARP_HEADING):
        if row[5]:
            total = int(row[5])
            continue
        count += 1
        try:
            yield Neighbor(device, row[3], IPv4Address(row[2]), Mac.parse(row[1]))
        except ValueError:
            raise UnexpectedOutput(device, row[0]) from None
    if total != count:
        raise UnexpectedOutput(device, text.strip()[-80:], f"{count} rows of {total} neighbours")


_SUMMARY = re.compile(r"(?P<name>[A-Z][\w -]+): (?P<number>\d+)")
_NODE = re.compile(r"node\d+:|-{10,}|Flow Sessions on FPC\d+ PIC\d+:")


def size(device: str, text: str) -> tuple[int, int]:
    """Sessions and their limit, out of `show security flow session summary`. The PICs of a chassis add up; of the nodes
    of a cluster, which have the same sessions, the fullest is told."""
    nodes: list[list[tuple[int, int]]] = [[]]
    used: int | None = None
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("node") and nodes[-1]:
            nodes.append([])
        found = _SUMMARY.fullmatch(line)
        if not found and not _NODE.fullmatch(line):
            raise UnexpectedOutput(device, line)
        match found and found["name"]:
            case "Sessions-in-use" if found:
                used = int(found["number"])
            case "Maximum-sessions" if found and used is not None:
                nodes[-1].append((used, int(found["number"])))
                used = None
    if used is not None or not all(nodes):
        raise UnexpectedOutput(device, text.strip()[-80:], "no sessions in use and no maximum in")
    return max((sum(now for now, _ in node), sum(most for _, most in node)) for node in nodes)


_CLEARED = re.compile(r"(\d+) active sessions? cleared")


def cleared(device: str, text: str) -> int:
    """How many sessions `clear security flow session` says that it has cleared; on the fuller node of a cluster."""
    nodes, told = [0], False
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _CLEARED.fullmatch(line)
        if not found and not _NODE.fullmatch(line):
            raise UnexpectedOutput(device, line)
        if line.startswith("node"):
            nodes.append(0)
        nodes[-1] += int(found[1]) if found else 0
        told = told or found is not None
    if not told:
        raise UnexpectedOutput(device, text.strip()[-80:], "no number of sessions that were cleared in")
    return max(nodes)
