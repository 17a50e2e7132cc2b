"""`switchguard analyze`: rank a table that somebody saved. No site, no device, no network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.core.model import NatUsage, Network, plain_network
from switchguard.core.rules.naughty_factor import Factor, factor
from switchguard.edge import plot
from switchguard.edge.captures import Kind, choose, open_capture, reader
from switchguard.errors import BadTarget, CaptureError
from switchguard.ports import NatTable

FOR_PEOPLE = 20
"""Clients that are shown when nobody says how many; --json has them all."""
CURVE_COLUMNS, CURVE_ROWS = 72, 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_QUOTED = 200
"""Characters of an unreadable line that are shown."""

Ranked = Sequence[tuple[NatUsage, Factor]]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a file says. `damage`: why not all of it could be read, or nothing."""

    kind: Kind
    table: NatTable
    ranked: Ranked
    """Worst first."""
    damage: str


def analyze(
    file: Annotated[str, typer.Argument(help="A saved table, plain or .gz; - is standard input.")],
    platform: Annotated[
        str | None, typer.Option("--platform", "-p", help="Whose table it is; without it, the first lines tell.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", "-t", help="Which one, where a platform has several; else recognised.")
    ] = None,
    inside: Annotated[
        list[str] | None,
        typer.Option(
            "--inside", metavar="NET", help="The clients' network, where the table does not tell. Repeatable."
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="OUT.SVG|OUT.PNG", help="Draw the sessions of all clients.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="How many clients.")] = None,
    as_json: Json = False,
) -> None:
    """Rank the clients of a saved translation table or firewall log. No site needed.

    Example: conntrack -L | switchguard analyze -
    """
    networks = [_network(text) for text in inside or ()]
    if picture:
        plot.check_plot(picture)
    seen = read(file, platform, table, networks)
    if seen.table.unparsed and not seen.table.entries:
        complain(seen)
        raise CaptureError(f"{name_of(file)}: no line of it is a row of {seen.kind}")
    if picture:
        plot.plot(picture, _ascending(seen.ranked), f"Sessions per client, {seen.table.entries:,} in all")
    if as_json:
        typer.echo(objects.dump(analysis_object(seen.table, seen.ranked[:limit])))
    else:
        show_analysis(seen, limit or FOR_PEOPLE)
    complain(seen)
    if seen.damage:
        raise typer.Exit(1)


def read(file: str, platform: str | None, table: str | None, inside: Sequence[Network]) -> Analysis:
    """CaptureError for a file that is not what it is said to be, or nothing that is known."""
    with _progress(file) as tell, open_capture(file, tell) as opened:
        kind = choose(opened, platform, table)
        if platform is None:
            show.complain(f"{opened.name}: recognised as {kind}")
        found = reader(kind.platform).read_capture(opened.chunks, kind.table, inside)
        return Analysis(kind, found, rank(found.usages), opened.damage)


def rank(usages: Sequence[NatUsage]) -> Ranked:
    rated = [(usage, factor(usage)) for usage in usages]
    return sorted(
        rated, key=lambda item: (-item[1].value, -item[0].sessions, item[0].address.version, int(item[0].address))
    )


def name_of(file: str) -> str:
    return "standard input" if file == "-" else file


def _network(text: str) -> Network:
    try:
        return plain_network(text)
    except ValueError as error:
        raise BadTarget(f"--inside {text!r}: {error}; write it like 10.10.0.0/16") from error


def _ascending(ranked: Ranked) -> list[tuple[str, int]]:
    """Client and sessions, the fewest first."""
    return sorted(((str(usage.address), usage.sessions) for usage, _ in ranked), key=lambda item: item[1])


@contextmanager
def _progress(file: str) -> Iterator[Callable[[int], None]]:
    """A bar on stderr that moves with the octets read; nothing when piped."""
    err = show.console(stderr=True)
    if not err.is_terminal:
        yield lambda _octets: None
        return
    # Only where somebody looks on: the import takes as long as reading 10,000 lines.
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    path = Path(file)
    size = path.stat().st_size if file != "-" and path.is_file() else None
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=size)
        yield lambda octets: bar.advance(task, octets)


# --- for programs ----------------------------------------------------------------------------------------------------


def analysis_object(table: NatTable, ranked: Ranked) -> objects.Json:
    return {
        "table": {"entries": table.entries, "unparsed": table.unparsed, "clients": len(table.usages)},
        "clients": [_client_object(usage, rating) for usage, rating in ranked],
    }


def _client_object(usage: NatUsage, rating: Factor) -> objects.Json:
    return {
        "client": str(usage.address),
        "sessions": usage.sessions,
        "remotes": usage.remotes,
        "udp_share": round(usage.udp_share, 4),
        "active_share": None if usage.active_share is None else round(usage.active_share, 4),
        "bytes": _octets(usage),
        "factor": round(rating.value, 3),
        "because": list(rating.clauses),
    }


def _octets(usage: NatUsage) -> int | None:
    """Both directions; None where neither is counted."""
    counted = [octets for octets in (usage.bytes_out, usage.bytes_in) if octets is not None]
    return sum(counted) if counted else None


# --- for people ------------------------------------------------------------------------------------------------------


def show_analysis(seen: Analysis, limit: int) -> None:
    table = seen.table
    nobodys = f", {table.not_clients:,} of them nobody's" if table.not_clients else ""
    show.say(f"{seen.kind}: {table.entries:,} entries{nobodys}, {len(table.usages):,} clients")
    if not table.usages:
        return
    rows = show.table(
        "factor", "client", "sessions", "remotes", "active", "bytes", "because",
        right=("factor", "sessions", "remotes", "active", "bytes"),
    )  # fmt: skip
    for usage, rating in seen.ranked[:limit]:
        rows.add_row(
            Text(f"{rating.value:.2f}", style="bold red" if rating.value >= 0.8 else ""),
            str(usage.address),
            f"{usage.sessions:,}",
            f"{usage.remotes:,}",
            "?" if usage.active_share is None else f"{usage.active_share:.0%}",
            show.octets(usage.bytes_out, usage.bytes_in),
            rating.because,
        )
    show.console().print(rows)
    if len(seen.ranked) > limit:
        show.say(f"and {len(seen.ranked) - limit:,} more; --limit shows them")
    show.say("")
    for line in curve([count for _, count in _ascending(seen.ranked)]):
        show.say(line)


def curve(counts: Sequence[int]) -> Iterator[str]:
    """Sessions per client as bars, the fewest first. A wall at the right end is a swarm."""
    top = plot.nice_ceiling(max(counts))
    heights = [count * CURVE_ROWS * 8 // top for count in plot.buckets(counts, CURVE_COLUMNS)]
    margin = len(f"{top:,}")
    for row in reversed(range(CURVE_ROWS)):
        label = f"{top:,}" if row == CURVE_ROWS - 1 else ""
        bars = "".join(_EIGHTHS[min(max(height - 8 * row, 0), 8)] for height in heights)
        yield f"{label:>{margin}} │{bars}".rstrip()
    yield f"{'0':>{margin}} └{'─' * len(heights)}"
    yield f"{'':>{margin}}  sessions of {len(counts):,} clients, from the fewest to the most"


def complain(seen: Analysis) -> None:
    """On stderr: what could not be read."""
    table = seen.table
    if table.unparsed:
        plural = "line is" if table.unparsed == 1 else "lines are"
        show.complain(f"{table.unparsed:,} {plural} neither a row nor known noise:")
        for number, line in table.samples:
            show.complain(f"  line {number:,}: {_quoted(line)}")
    if not table.complete:
        show.complain("the table is cut off: its last line has no end, or its total is missing")
    if seen.damage:
        show.complain(f"error: {seen.damage}")


def _quoted(line: str) -> str:
    """What a terminal must not obey is spelled out."""
    return ascii(line[:_QUOTED])[1:-1] + (" ..." if len(line) > _QUOTED else "")
