"""`usage`: who moved how much, when. And the hours of one client, for `explain`."""

import csv
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Literal, get_args

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.targets import Target, parse_network, parse_target
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.calendar import Calendar, Per, Window
from switchguard.core.model import Address, ClientId, Mac, Network
from switchguard.edge.archive import Archive, Used
from switchguard.edge.moments import by, parse_start
from switchguard.edge.units import parse_duration
from switchguard.errors import BadTarget

Order = Literal["total", "in", "out"]
LOOK_BACK: Mapping[Per | None, timedelta] = {
    None: timedelta(days=1),
    "hour": timedelta(days=1),
    "day": timedelta(days=7),
    "week": timedelta(weeks=4),
    "month": timedelta(days=92),
}
"""Without --since."""
BAR = 30
"""Characters of the longest bar of a histogram."""
COLUMNS = (
    "start", "end", "client", "addresses", "owner", "octets_in", "octets_out", "octets", "estimated", "sessions",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One client in one window."""

    window: Window
    used: Used
    owner: str | None


def usage(
    ctx: typer.Context,
    per: Annotated[str | None, typer.Option(help="hour, day, week or month; without it, one sum.")] = None,
    network: Annotated[str | None, typer.Option(help="Only clients with an address in this network.")] = None,
    client: Annotated[str | None, typer.Option(help="Only this MAC, address or user.")] = None,
    since: Annotated[
        str | None, typer.Option(help="A duration (2d) or a date (2026-12-01), by the site's clock.")
    ] = None,
    sort: Annotated[str, typer.Option(help="total, in or out")] = "total",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="So many per window.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")] = False,
    as_json: Json = False,
) -> None:
    """Who moved how much, from the history that the service keeps. A ~ marks what was partly estimated.

    Example: switchguard usage --per day --network 10.10.0.0/16 --sort out
    """
    chosen, order = _per(per), _order(sort)
    wiring = Wiring.of(ctx.obj)
    calendar, now = Calendar(wiring.site.policy.zone), clock()
    windows = tuple(
        _windows(calendar, parse_since(since, now, calendar.zone) if since else now - LOOK_BACK[chosen], now, chosen)
    )
    names = clients_meant(wiring.archive, parse_target(client)) if client else None
    if names is not None and not names:
        raise BadTarget(f"the history knows nobody called {client!r}")
    lines = tuple(_lines(wiring, windows, _network(network), names, order, limit))
    if as_json:
        typer.echo(
            objects.dump(
                {
                    "since": windows[0].start.astimezone(calendar.zone).isoformat(),
                    "until": now.astimezone(calendar.zone).isoformat(),
                    "per": chosen,
                    "usage": [usage_object(line, calendar.zone) for line in lines],
                }
            )
        )
    elif as_csv:
        _write_csv(lines, calendar.zone)
    else:
        _show(lines, chosen, calendar)


# --- what is asked ---------------------------------------------------------------------------------------------------


def _per(text: str | None) -> Per | None:
    choices = get_args(Per)
    for choice in choices:
        if text == choice:
            chosen: Per = choice
            return chosen
    if text is None:
        return None
    raise typer.BadParameter(f"{text!r}; there are: {', '.join(choices)}", param_hint="--per")


def _order(text: str) -> Order:
    for choice in get_args(Order):
        if text == choice:
            chosen: Order = choice
            return chosen
    raise typer.BadParameter(f"{text!r}; there are: {', '.join(get_args(Order))}", param_hint="--sort")


def _network(text: str | None) -> Network | None:
    return None if text is None else parse_network(text)


def parse_since(text: str, now: datetime, zone: tzinfo) -> datetime:
    """So long ago, or the beginning of a day by the site's clock. BadTarget for anything else."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return by(zone, parse_start(text))
    except ValueError:
        raise BadTarget(f"{text!r} is neither a duration such as 2d nor a date such as 2026-12-01") from None


def _windows(calendar: Calendar, since: datetime, now: datetime, per: Per | None) -> Iterator[Window]:
    """Whole ones, the last as far as it has come."""
    if per is None or since >= now:
        yield Window(since, now)
        return
    window = calendar.window(since, per)
    while window.start < now:
        yield Window(window.start, min(window.end, now))
        window = calendar.window(window.end, per)


def clients_meant(archive: Archive, target: Target) -> tuple[ClientId, ...]:
    """Whoever has this name, or had this address last."""
    kind = "mac" if isinstance(target, Mac) else "user" if isinstance(target, str) else "address"
    return archive.clients_named(str(target), f"{kind}:{target}")


# --- what there is ---------------------------------------------------------------------------------------------------

AMOUNTS: Mapping[Order, Callable[[int, int], int]] = {
    "total": operator.add,
    "in": lambda into, _out: into,
    "out": lambda _into, out: out,
}


def _lines(
    wiring: Wiring,
    windows: Sequence[Window],
    network: Network | None,
    names: Collection[ClientId] | None,
    order: Order,
    limit: int | None,
) -> Iterator[Line]:
    registry = (wiring.registry.people() if wiring.registry else None) or {}
    people = {f"mac:{mac}": person for mac, person in registry.items()}

    def wanted(client: ClientId, addresses: Iterable[Address]) -> bool:
        return (names is None or client in names) and (
            network is None or any(address in network for address in addresses)
        )

    found = wiring.archive.most(((it.start, it.end) for it in windows), AMOUNTS[order], limit, wanted)
    for window, users in zip(windows, found, strict=True):
        yield from (Line(window, used, used.owner or people.get(used.client)) for used in users)


def usage_object(line: Line, zone: tzinfo) -> objects.Json:
    """By the site's clock: a spreadsheet that cuts a time to its day shall find the site's day."""
    used = line.used
    return {
        "start": line.window.start.astimezone(zone).isoformat(),
        "end": line.window.end.astimezone(zone).isoformat(),
        "client": used.client,
        "addresses": [str(address) for address in used.addresses],
        "owner": line.owner,
        "octets_in": used.octets_in,
        "octets_out": used.octets_out,
        "estimated": used.estimated,
        "sessions": used.sessions,
        "factor": used.factor,
    }


def _write_csv(lines: Iterable[Line], zone: tzinfo) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for line in lines:
        row = usage_object(line, zone)
        writer.writerow({**row, "addresses": " ".join(row["addresses"]), "octets": line.used.octets})


def _show(lines: Sequence[Line], per: Per | None, calendar: Calendar) -> None:
    if not lines:
        show.say("nothing: the service has kept no usage of that time")
        return
    titles = ("client", "address", "in", "out", "total", "sessions")
    rows = show.table(*((per,) if per else ()), *titles, right=("in", "out", "total", "sessions"))
    before: Window | None = None
    for line in lines:
        used, roughly = line.used, "~" if line.used.estimated else ""
        when = "" if line.window == before else f"{line.window.start.astimezone(calendar.zone):%Y-%m-%d %H:%M}"
        rows.add_row(
            *((when,) if per else ()),
            line.owner or used.client.removeprefix("mac:").removeprefix("address:"),
            ", ".join(map(str, used.addresses[:2])) + (f" +{len(used.addresses) - 2}" if used.addresses[2:] else ""),
            roughly + show.octets(used.octets_in),
            roughly + show.octets(used.octets_out),
            roughly + show.octets(used.octets),
            "-" if used.sessions is None else f"{used.sessions:,}",
        )
        before = line.window
    show.console().print(rows)


# --- one client, hour by hour ----------------------------------------------------------------------------------------


@dataclass
class Hour:
    """What somebody did in an hour that began at `start`; sessions, remotes and factor are the largest seen."""

    start: datetime
    octets_in: int = 0
    octets_out: int = 0
    sessions: int = 0
    remotes: int = 0
    factor: float | None = None
    connections: int = 0
    """By whatever log, and of the translation tables, if a rule asks for them."""


def hours_of(
    archive: Archive,
    clients: Iterable[ClientId],
    sources: Iterable[str],
    since: datetime,
    now: datetime,
    calendar: Calendar,
) -> list[Hour]:
    """Every hour from the first one in which something is known, also empty ones: a break is what one looks for."""
    found: dict[datetime, Hour] = {}

    def hour(at: datetime) -> Hour:
        start = calendar.window(at, "hour").start
        return found.setdefault(start, Hour(start))

    for client in clients:
        for start, _, used in archive.spans_of(client, since, now):
            it = hour(start)
            it.octets_in, it.octets_out = it.octets_in + used.octets_in, it.octets_out + used.octets_out
            it.sessions = max(it.sessions, used.sessions or 0)
            it.remotes = max(it.remotes, used.remotes or 0)
            it.factor = max((rating for rating in (it.factor, used.factor) if rating is not None), default=None)
    for source in sources:
        for opened in archive.opened_by(source, since):
            hour(opened.start).connections += opened.count
    return [found.get(start, Hour(start)) for start in _every_hour(found, now, calendar)]


def _every_hour(found: Collection[datetime], now: datetime, calendar: Calendar) -> Iterator[datetime]:
    start = min(found, default=now)
    while start < now:
        yield start
        start = calendar.window(start, "hour").end


def hour_object(hour: Hour) -> objects.Json:
    return {
        "start": hour.start.isoformat(),
        "octets_in": hour.octets_in,
        "octets_out": hour.octets_out,
        "sessions": hour.sessions,
        "remotes": hour.remotes,
        "factor": hour.factor,
        "connections": hour.connections,
    }


def show_hours(hours: Sequence[Hour], calendar: Calendar) -> None:
    """A bar for each hour: of connections if some log has them, else of octets, else of sessions."""
    if not hours:
        return
    by = next(
        (name for name in ("connections", "octets", "sessions") if any(_height(it, name) for it in hours)), "octets"
    )
    most = max(_height(it, by) for it in hours) or 1
    show.say(f"hour by hour, {by}:")
    for it in hours:
        height = _height(it, by)
        bar = "█" * max(round(BAR * height / most), 1 if height else 0)
        amount = show.octets(height) if by == "octets" else f"{height:,}"
        rating = "" if it.factor is None else f"  factor {it.factor:.2f}"
        show.say(f"  {it.start.astimezone(calendar.zone):%a %d %b %H:%M} {bar:<{BAR}} {amount:>9}{rating}".rstrip())


def _height(hour: Hour, by: str) -> int:
    return {"connections": hour.connections, "octets": hour.octets_in + hour.octets_out, "sessions": hour.sessions}[by]
