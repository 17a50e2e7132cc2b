"""OpenVPN's status, versions 2 and 3 (`--status-version`, and `status 2` or `status 3` of the management interface).

    TITLE,OpenVPN 2.6.14 x86_64-pc-linux-gnu ...
    TIME,2026-11-20 19:40:01,1763664001
    HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,...,Connected Since (time_t),Username,...
    CLIENT_LIST,alice,192.0.2.7:51820,10.99.0.7,...,1763663472,UNDEF,...
    HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)
    ROUTING_TABLE,10.99.0.7,alice,192.0.2.7:51820,...
    END

Version 3 has tabs. Columns are found by the names in HEADER, since each release added some. The person is the Username,
where the client gave one, else the certificate's common name. Version 1 is refused: it tells local times without a
zone. A file is read while OpenVPN writes it: without END the whole lines count, and who is missing may still be there.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, outside, person, shown, stamp

STALE = timedelta(minutes=5)
"""OpenVPN writes its status once a minute, unless told otherwise."""
_CLIENTS, _ROUTES = "CLIENT_LIST", "ROUTING_TABLE"
_NEEDED: Mapping[str, tuple[str, ...]] = {
    _CLIENTS: ("Common Name", "Real Address", "Virtual Address", "Connected Since (time_t)"),
    _ROUTES: ("Virtual Address", "Common Name", "Real Address"),
}
_NOISE = ("TITLE", "GLOBAL_STATS")
_NOBODY = ("", "UNDEF")

Row = Mapping[str, str]


def read_status(text: str, at: datetime | None = None) -> Read:
    """CannotRead for version 1, for something else, and for a file that has not been written for long before `at`."""
    whole, _, rest = text.rpartition("\n")
    lines = whole.splitlines()
    if not lines:
        raise CannotRead("the status is empty")
    separator = _separator(lines[0])
    tables: dict[str, list[Row]] = {_CLIENTS: [], _ROUTES: []}
    headers: dict[str, list[str]] = {}
    wrong: list[str] = []
    written: datetime | None = None
    ended = False
    for number, line in enumerate(lines, 1):
        kind, *fields = line.rstrip("\r").split(separator)
        if kind == "END":
            ended = True
            break
        if kind == "TIME" and len(fields) == 2:
            written = _stamped(fields[1], number)
        elif kind == "HEADER" and fields[:1] and fields[0] in tables:
            headers[fields[0]] = _header(fields, number)
        elif kind in tables and len(fields) == len(headers.get(kind, ())):
            tables[kind].append(dict(zip(headers[kind], fields, strict=True)))
        elif kind not in _NOISE:
            wrong.append(f"line {number} is no row of its table: {shown(line)}")
    if written is None:
        raise CannotRead("the status does not tell its TIME")
    if at is not None and at - written > STALE:
        raise CannotRead(f"the status is of {written:%Y-%m-%d %H:%M:%S} UTC; OpenVPN does not write it any more")
    if not ended:
        wrong.append(f"it is still being written: no END, the last whole line is {shown(lines[-1])}{_cut(rest)}")
    told = list(_people(tables[_CLIENTS], tables[_ROUTES], wrong))
    return Read(tuple(told), notes(wrong), not wrong)


def _separator(first: str) -> str:
    if first.startswith("TITLE,"):
        return ","
    if first.startswith("TITLE\t"):
        return "\t"
    if first.startswith("OpenVPN CLIENT LIST"):
        raise CannotRead("the status is of version 1, whose times have no zone; write `status-version 2` or 3")
    raise CannotRead(f"is no status of OpenVPN, version 2 or 3; it begins with {shown(first)}")


def _header(fields: Sequence[str], number: int) -> list[str]:
    kind, *columns = fields
    if missing := [name for name in _NEEDED[kind] if name not in columns]:
        raise CannotRead(f"line {number}: {kind} of this version has no column {missing[0]!r}")
    return columns


def _stamped(text: str, number: int) -> datetime:
    try:
        return stamp(text)
    except ValueError as error:
        raise CannotRead(f"line {number}: {error}") from None


def _cut(rest: str) -> str:
    return f", and then {shown(rest)}" if rest else ""


def _people(clients: Sequence[Row], routes: Sequence[Row], wrong: list[str]) -> Iterator[Told]:
    """Who connects just now has neither name nor address yet, and is left out."""
    routed: dict[tuple[str, str], list[str]] = {}
    for route in routes:
        routed.setdefault((route["Common Name"], route["Real Address"]), []).append(route["Virtual Address"])
    for client in clients:
        name = client.get("Username", "")
        name = client["Common Name"] if name in _NOBODY else name
        told = [client["Virtual Address"], client.get("Virtual IPv6 Address", "")]
        told += routed.get((client["Common Name"], client["Real Address"]), ())
        try:
            addresses = held(it for it in map(_plain, told) if it)
            since = stamp(client["Connected Since (time_t)"])
            if name not in _NOBODY and addresses:
                yield Told(person(name), addresses, since, None, outside(client["Real Address"]))
        except ValueError as error:
            wrong.append(f"the client {shown(name)}: {error}")


def _plain(address: str) -> str:
    """Without the C of a cached route, which is a capital one, as no digit of an address is; empty for a MAC (a bridged
    tunnel) and for no address."""
    plain = address.removesuffix("C")
    bridged = plain.count(":") == 5 and "::" not in plain
    return "" if bridged or plain in ("0.0.0.0", "::") else plain.partition("@")[0]  # noqa: S104 - told, not listened on
