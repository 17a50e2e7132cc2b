"""What DHCP servers write down -> leases: dnsmasq's file, ISC dhcpd's, Kea's CSV, and the answer of Kea's API.

A server writes while we read. What is whole counts; a last line without its end, or a block that is still open, is left
out and said. So is a line that is none of the server's: its format may have changed. Leases of other hardware than
Ethernet, of IPv6 clients that told no hardware address, and those that have run out are no news.

* dnsmasq: `expiry MAC address hostname client-id`, seconds since 1970, 0 for never, `*` for what is not known; after a
  line `duid ...` come IPv6 leases, which have no MAC (dnsmasq(8), --dhcp-leasefile; rfc3315.c writes an IAID there).
* ISC dhcpd: blocks in the order of writing, of which the last one of an address counts (dhcpd.leases(5)). Times are
  UTC, or after the word `epoch`; `uid` is text with octal escapes.
* Kea: a CSV file with its columns named in the first line. It has no quotation marks: a comma inside a field is
  `&#x2c`, and so on with every other octet that would confuse (util/csv_file.cc). The last row of an address counts;
  state 0 is a lease, and a valid lifetime of 0 a deleted one (Kea ARM, memfile back-end).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from switchguard.core.model import Lease, Mac, plain_address

INFINITE_S = 0xFFFFFFFF
"""A lifetime that never ends (RFC 2131, 3.3)."""


@dataclass(frozen=True, slots=True)
class Told:
    """The leases that stand, and what of the text could not be used, if anything could not."""

    leases: tuple[Lease, ...]
    trouble: str = ""


def dnsmasq(source: str, text: str, now: datetime) -> Told:
    """Of dnsmasq.leases."""
    lines, trouble = _whole_lines(text)
    found: list[Lease | None] = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if fields[:1] == ["duid"]:
            break
        if not fields:
            continue
        try:
            found.append(_dnsmasq_lease(source, fields))
        except (ValueError, OverflowError):
            trouble.append(f"line {number} is no lease: {line!r:.80}")
    return _told(found, now, trouble)


def _dnsmasq_lease(source: str, fields: Sequence[str]) -> Lease | None:
    expiry, mac, address, name, ident = fields
    kind, _, rest = mac.rpartition("-") if re.match(r"[0-9a-f]{2}-[0-9a-f]{2}:", mac) else ("", "", mac)
    until = None if expiry == "0" else datetime.fromtimestamp(int(expiry), UTC)
    if kind not in ("", "01", "06") or len(rest) != len("02:00:00:00:00:07"):
        return None
    client_id = None if ident == "*" else _hex(ident)
    return Lease(source, plain_address(address), Mac.parse(rest), None if name == "*" else name, client_id, until)


# --- ISC dhcpd -------------------------------------------------------------------------------------------------------

_OPENS = re.compile(r"lease (\S+) \{")
_TIME = re.compile(r"\d (\d{4})/(\d\d?)/(\d\d?) (\d\d?):(\d\d):(\d\d)")
_ESCAPE = re.compile(r"\\(?:([0-7]{3})|(.))")


def isc(source: str, text: str, now: datetime) -> Told:
    """Of dhcpd.leases."""
    lines, trouble = _whole_lines(text)
    newest: dict[str, Lease | None] = {}
    block: dict[str, str] | None = None
    address = ""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if opened := _OPENS.fullmatch(line):
            if block is not None:
                trouble.append(f"the lease of {address} has no end")
            address, block = opened[1], {}
        elif block is not None and line == "}":
            try:
                newest[address] = _isc_lease(source, address, block)
            except (ValueError, OverflowError) as error:
                newest[address] = None
                trouble.append(f"the lease of {address}, which ends in line {number}, makes no sense: {error}")
            block = None
        elif block is not None:
            name, _, value = line.partition(" ")
            block[_statement(name, value)] = value.removesuffix(";").strip()
    if block is not None:
        trouble.append(f"the lease of {address} has no end: it is being written")
    return _told(newest.values(), now, trouble)


def _statement(name: str, value: str) -> str:
    """`binding` is followed by `state`, and so are `next binding` and `rewind binding`, which are others."""
    return f"{name} {value.split(' ')[0]}" if name in ("binding", "hardware") else name


def _isc_lease(source: str, address: str, block: Mapping[str, str]) -> Lease | None:
    """None for what is free, or was abandoned, or is no Ethernet."""
    hardware = block.get("hardware ethernet")
    if block.get("binding state") != "state active" or hardware is None:
        return None
    name = block.get("client-hostname")
    return Lease(
        source,
        plain_address(address),
        Mac.parse(hardware.removeprefix("ethernet ")),
        _unquoted(name).decode(errors="replace") if name else None,
        _isc_id(block.get("uid")),
        _isc_time(block.get("ends", "never").split(";")[0]),
    )


def _isc_time(text: str) -> datetime | None:
    if text == "never":
        return None
    if text.startswith("epoch "):
        return datetime.fromtimestamp(int(text.split()[1]), UTC)
    if found := _TIME.match(text):
        year, month, day, hour, minute, second = map(int, found.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    raise ValueError(f"{text!r} is no time")


def _isc_id(text: str | None) -> str | None:
    if text is None:
        return None
    return _unquoted(text).hex(":") if text.startswith('"') else _hex(text)


def _unquoted(text: str) -> bytes:
    """A quoted string of octets, of which those that cannot be printed are octal."""
    inner = text.removeprefix('"').removesuffix('"')
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], inner)
    return plain.encode("latin-1", errors="replace")


# --- Kea -------------------------------------------------------------------------------------------------------------


_ESCAPED = re.compile("(?:&#x[0-9a-fA-F]{2})+")


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("&#x", "")).decode(errors="replace")


def kea_csv(source: str, texts: Sequence[str], now: datetime) -> Told:
    """Of kea-leases4.csv or kea-leases6.csv and, before it, what a clean-up has set aside: the oldest first."""
    newest: dict[str, Lease | None] = {}
    trouble: list[str] = []
    for text in texts:
        lines, left = _whole_lines(text)
        trouble += left
        columns = lines[0].split(",") if lines else []
        for number, line in enumerate(lines[1:], 2):
            try:
                if line:
                    row = dict(zip(columns, line.split(","), strict=False))
                    newest[row["address"]] = _kea_row(source, row)
            except (ValueError, OverflowError, KeyError):
                trouble.append(f"line {number} is no lease of Kea's: {line!r:.80}")
    return _told(newest.values(), now, trouble)


def _kea_row(source: str, row: Mapping[str, str]) -> Lease | None:
    lifetime = int(row["valid_lifetime"])
    if row["state"] != "0" or not lifetime or row.get("lease_type", "0") == "2" or len(row["hwaddr"]) != 17:
        return None
    until = None if lifetime == INFINITE_S else datetime.fromtimestamp(int(row["expire"]), UTC)
    ident = row.get("client_id") or row.get("duid") or None
    name = _ESCAPED.sub(_unescaped, row["hostname"]).rstrip(".")
    return Lease(
        source, plain_address(row["address"]), Mac.parse(row["hwaddr"]), name or None, ident and _hex(ident), until
    )


def kea_answer(source: str, answer: object, now: datetime) -> Told:
    """Of `lease4-get-all`. ValueError with Kea's own words if it refused, or for anything that is no such answer."""
    first: Any = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(first, dict) or not isinstance(first.get("result"), int):
        raise ValueError("it does not answer like Kea")
    if first["result"] == 3:  # nothing found (Kea ARM, control API)
        return Told(())
    if first["result"] != 0:
        raise ValueError(f"Kea says: {first.get('text', 'nothing')}")
    arguments = first.get("arguments")
    leases = arguments.get("leases") if isinstance(arguments, dict) else None
    if not isinstance(leases, list):
        raise ValueError("it does not answer like Kea")
    found: list[Lease | None] = []
    trouble: list[str] = []
    for item in leases:
        try:
            found.append(_kea_item(source, item))
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError):
            trouble.append(f"no lease of Kea's: {item!r:.80}")
    return _told(found, now, trouble)


def _kea_item(source: str, item: Mapping[str, Any]) -> Lease | None:
    hardware = item.get("hw-address") or ""
    if item["state"] != 0 or len(hardware) != 17:
        return None
    lifetime = int(item["valid-lft"])
    until = None if lifetime == INFINITE_S else datetime.fromtimestamp(item["cltt"], UTC) + timedelta(seconds=lifetime)
    ident = item.get("client-id") or item.get("duid")
    name = str(item.get("hostname") or "").rstrip(".")
    return Lease(
        source, plain_address(item["ip-address"]), Mac.parse(hardware), name or None, ident and _hex(ident), until
    )


# --- small things ----------------------------------------------------------------------------------------------------


def _whole_lines(text: str) -> tuple[list[str], list[str]]:
    """The lines that have an end, and what is to be said of one that has none."""
    *lines, rest = text.split("\n")
    trouble = [f"line {len(lines) + 1} has no end: it is being written"] if rest else []
    return [line.rstrip("\r") for line in lines], trouble


def _told(found: Iterable[Lease | None], now: datetime, trouble: Sequence[str]) -> Told:
    more = f", and {len(trouble) - 3} more like it" if len(trouble) > 3 else ""
    return Told(tuple(_standing(found, now)), "; ".join(trouble[:3]) + more)


def _standing(found: Iterable[Lease | None], now: datetime) -> Iterator[Lease]:
    for lease in found:
        if lease is not None and (lease.until is None or lease.until > now) and not lease.mac.is_multicast:
            yield lease


def _hex(text: str) -> str:
    """Lower-case hex with colons, each octet in two digits. What is not hex is taken for what it says."""
    with suppress(ValueError):
        return ":".join(f"{int(octet, 16):02x}" for octet in text.replace("-", ":").split(":"))
    return text.encode().hex(":")
