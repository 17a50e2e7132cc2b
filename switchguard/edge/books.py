"""Where counting goes on from (core/accounting.py) <-> text: short, because it is written with every poll."""

import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from switchguard.core.accounting import NOTHING, Books, NatBook, Octets, PortBook, Total
from switchguard.core.client_counters import CounterBook
from switchguard.core.model import Address, ClientId, Mac, PortCounters

FORM = 1
"""Books of another form are put away: counting begins anew, and nothing is counted twice."""


def books_text(books: Books) -> str:
    document = {
        "form": FORM,
        "gateways": [
            [name, _stamp(book.began), _stamp(book.ended), book.tells, [_total(*it) for it in book.totals.items()]]
            for name, book in books.gateways.items()
        ],
        "ports": [_port(book) for book in books.ports.values()],
        "clients": [
            [name, _stamp(book.at), [[str(address), *total] for address, total in book.totals.items()]]
            for name, book in books.clients.items()
        ],
        "settled": [[client, way, _stamp(until)] for client, (way, until) in books.settled.items()],
    }
    return json.dumps(document, separators=(",", ":"))


def books_from(text: str) -> Books:
    document = json.loads(text)
    if document["form"] != FORM:
        return Books()
    return Books(
        {
            name: NatBook(_moment(began), _moment(ended), dict(_read_total(row) for row in totals), tells)
            for name, began, ended, tells, totals in document["gateways"]
        },
        {(book.counters.device, book.counters.port): book for book in map(_read_port, document["ports"])},
        {ClientId(client): (way, _moment(until)) for client, way, until in document["settled"]},
        {
            name: CounterBook(
                _moment(at), {ip_address(address): (client, *octets) for address, client, *octets in totals}
            )
            for name, at, totals in document.get("clients", ())
        },
    )


def _total(address: Address, total: Total) -> list[object]:
    owed = [] if total.owed == NOTHING else [total.owed.received, total.owed.sent]
    octets = None if total.octets is None else [total.octets.received, total.octets.sent]
    return [str(address), total.client, octets, total.sessions, *owed]


def _read_total(row: list[Any]) -> tuple[Address, Total]:
    address, client, octets, sessions, *owed = row
    counted = None if octets is None else Octets(*octets)
    return ip_address(address), Total(client, counted, sessions, Octets(*owed) if owed else NOTHING)


def _port(book: PortBook) -> list[object]:
    it = book.counters
    counted = [it.in_octets, it.out_octets, it.bits, it.uptime_s, it.discontinuity_s]
    return [it.device, it.port, _stamp(it.at), *counted, sorted(mac.value for mac in book.macs)]


def _read_port(row: list[Any]) -> PortBook:
    device, port, at, *counted, macs = row
    return PortBook(PortCounters(device, port, _moment(at), *counted), frozenset(map(Mac, macs)))


def _stamp(moment: datetime) -> float:
    return moment.timestamp()


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
