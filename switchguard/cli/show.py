"""Plans, rankings and outcomes for people: Rich tables on a terminal, plain lines through a pipe."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from switchguard.cli.harmless import Harmless
from switchguard.core.changes import Diff, Outcome, Plan
from switchguard.core.copies import contested_of
from switchguard.core.everybody import is_for_everyone
from switchguard.core.explain import (
    change_sentence,
    contested_sentence,
    flush_sentence,
    location_sentence,
    refusal_sentence,
    switches,
)
from switchguard.core.model import Attribution, Client, Contested, Gap
from switchguard.core.penalties import Refusal
from switchguard.core.rules.naughty_factor import Factor
from switchguard.core.traces import Link
from switchguard.errors import DeviceError

PIPE_WIDTH = 160
"""Columns when neither a terminal nor $COLUMNS says how wide the paper is."""


def console(stderr: bool = False) -> Console:
    """A fresh console, so that a redirected stream is honoured; colour only on a terminal. Text is text: names of
    hosts and reasons may hold what Rich would take for its markup, or a terminal for an order."""
    stream = sys.stderr if stderr else sys.stdout
    known = stream.isatty() or "COLUMNS" in os.environ
    width = None if known else PIPE_WIDTH
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)
    made.push_render_hook(Harmless())
    return made


def say(text: str) -> None:
    console().print(text)


def complain(text: str) -> None:
    console(stderr=True).print(text)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A spinner on stderr while something takes its time; silent when piped."""
    err = console(stderr=True)
    if not err.is_terminal:
        yield
        return
    with err.status(what):
        yield


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def show_ranking(attribution: Attribution, ranked: Sequence[tuple[Client, Factor]], links: Sequence[Link] = ()) -> None:
    rows = table(
        "factor", "client", "address", "where", "sessions", "remotes", "active", "bytes", "because",
        right=("factor", "sessions", "remotes", "active", "bytes"),
    )  # fmt: skip
    for client, factor in ranked:
        usage = client.usage
        if usage is None:
            continue
        rows.add_row(
            Text(f"{factor.value:.2f}", style="bold red" if factor.value >= 0.8 else ""),
            named(client),
            str(usage.address) + (f" +{len(client.addresses) - 1}" if len(client.addresses) > 1 else ""),
            where(client),
            f"{usage.sessions:,}",
            f"{usage.remotes:,}",
            "?" if usage.active_share is None else f"{usage.active_share:.0%}",
            octets(usage.bytes_in, usage.bytes_out),
            "; ".join((factor.because, *linked(client, links))),
        )
    if rows.row_count:
        console().print(rows)
    else:
        say("nobody uses the network: no session in any translation table belongs to a client")
    for item in attribution.unattributed:
        if item.sessions:
            say(f"unattributed: {item.what} ({item.sessions:,} sessions): {item.why}")
    show_contested(contested_of(attribution))
    show_gaps(attribution.gaps)


def show_contested(contested: Iterable[Contested]) -> None:
    for it in contested:
        say(f"contested: {contested_sentence(it)}")


def named(client: Client) -> str:
    """With a word about a MAC that will soon be another one."""
    randomised = " (randomised)" if any(mac.is_local for mac in client.macs) else ""
    return (client.owner or client.identity.removeprefix("mac:")) + randomised


def linked(client: Client, links: Sequence[Link]) -> list[str]:
    """What the client probably was before."""
    before = (link for link in links if link.new in client.macs and link.undone is None and link.confidence)
    return [f"probably what was {link.old}, confidence {link.confidence:.2f}" for link in before]


def where(client: Client) -> str:
    if client.location is None:
        return "?"
    station = client.location.station
    return f"{switches(client.location)} {station.port} vlan {station.vlan}"


def octets(*parts: int | None) -> str:
    """1.2 GB; a dash where the platform does not count."""
    known = [part for part in parts if part is not None]
    if not known:
        return "-"
    value, unit = float(sum(known)), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def show_gaps(gaps: Iterable[Gap]) -> None:
    for gap in gaps:
        complain(f"gap: {gap.device} {gap.table}: {gap.why}")


def show_blind_spots(blind: Iterable[tuple[str, str]]) -> None:
    for rule, why in blind:
        complain(f"blind: rule {rule!r} can judge nobody: {why}")


def show_location(client: Client | None, why_not: str | None) -> None:
    if client is None or client.location is None:
        say(f"not located: {why_not}")
        return
    say(location_sentence(client.location))
    for step in client.location.path:
        say(f"  {step.device} {step.table}: {step.entry} ({step.age_s:.0f} s ago)")


def show_plan(plan: Plan, diffs: Mapping[str, Diff | DeviceError]) -> None:
    """Per device: the diff, labelled with who made it. Then what was refused, and what observe mode holds back."""
    really = {change.slot.device for change in plan.changes}
    for name in sorted(diffs):
        diff = diffs[name]
        note = "" if name in really else " - observe mode, will not be pushed"
        if isinstance(diff, DeviceError):
            complain(f"{name}: no diff: {diff.why}")
            continue
        say(f"{name} (diff: {diff.source}){note}")
        show_diff(diff.text)
    for flush in plan.flushes:
        say(f"also: {flush_sentence(flush)}")
    for change in (*plan.changes, *plan.observed):
        if is_for_everyone(change.slot) and change.after is not None:
            say(f"note: {change_sentence(change)}")
    show_refusals(plan.refusals)
    if not diffs and not plan.refusals:
        say("nothing to do: the devices already enforce what should be enforced")


def show_diff(text: str, out: Console | None = None) -> None:
    out = out or console()
    if out.is_terminal:
        out.print(Syntax(text.rstrip("\n"), "diff", background_color="default"))
    else:
        out.print(text.rstrip("\n"), markup=False)


def show_refusals(refusals: Iterable[Refusal]) -> None:
    for refusal in refusals:
        complain(f"refused: {refusal_sentence(refusal)}")


def show_outcomes(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        mark = {"verified": "done", "failed": "FAILED", "refused": "refused"}[outcome.state]
        note = f" - {outcome.why}" if outcome.why else ""
        say(f"{mark}: {change_sentence(outcome.change)}{note} ({outcome.seconds:.1f} s)")
