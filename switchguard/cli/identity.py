"""Who is known again under another MAC: `links`, `unlink`, and what `top` and `explain` say of it."""

from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from switchguard.cli import objects, show
from switchguard.cli.act import carry_out, operator
from switchguard.cli.options import BY_HAND, Json, Manner, Reason, spread
from switchguard.cli.read import look_around
from switchguard.cli.targets import parse_mac
from switchguard.cli.wiring import Wiring
from switchguard.core.attribute import attribute
from switchguard.core.follow import gone_over
from switchguard.core.identity import link_sentence
from switchguard.core.model import Mac
from switchguard.core.penalties import Release
from switchguard.core.traces import Link
from switchguard.cycle import PLACES

LIKELY = 0.5
"""Two MACs that are more likely one device than not have one story."""


def links(
    ctx: typer.Context,
    mac: Annotated[str | None, typer.Argument(help="Only of this MAC, and of what it is linked with.")] = None,
    as_json: Json = False,
) -> None:
    """Which MACs are probably one device: since when, how certain, why, and which penalties went over.

    Example: switchguard links
    """
    wiring = Wiring.of(ctx.obj)
    found = wiring.ledger.links(None if mac is None else {parse_mac(mac)})
    if as_json:
        typer.echo(objects.dump({"links": [objects.link_object(link) for link in found]}))
        return
    if not found:
        show.say("no two MACs look like one device")
        return
    rows = show.table("was", "is", "confidence", "since", "penalties", "because", right=("confidence",))
    for link in _once(found):
        since = f"{link.since.astimezone(wiring.site.policy.zone):%Y-%m-%d %H:%M}"
        told = f"undone: {link.undone}" if link.undone is not None else ", ".join(link.because)
        went_over = ", ".join(link.followed) or "-"
        rows.add_row(str(link.old), str(link.new), f"{link.confidence:.2f}", since, went_over, told)
    show.console().print(rows)


@spread
def unlink(
    ctx: typer.Context,
    one: Annotated[str, typer.Argument(metavar="MAC")],
    other: Annotated[str, typer.Argument(metavar="MAC")],
    manner: Manner,
    reason: Reason = BY_HAND,
) -> None:
    """Two MACs are two devices, whatever it looks like: what went over between them is lifted, and never again.

    Example: switchguard unlink 02:00:00:00:00:07 02:00:00:00:77:07
    """
    wiring = Wiring.of(ctx.obj)
    first, second, who = parse_mac(one), parse_mac(other), operator()
    if first == second:
        raise typer.BadParameter(f"{first} is one MAC, not two")
    why = f"{first} and {second} are two devices: {reason} ({who})"
    released = [Release(verdict, why) for verdict in gone_over(wiring.ledger.standing(), first, second)]

    def remember() -> None:
        if not manner.dry_run:
            wiring.ledger.unlink(first, second, who, reason)
        if not manner.as_json:
            show.say(f"{first} and {second} are two devices" + (" (not recorded: a dry run)" if manner.dry_run else ""))

    if released:
        attribution = attribute(look_around(wiring, PLACES))
        carry_out(wiring, attribution, manner, released=released, once_agreed=remember)
        return
    remember()
    if manner.as_json:
        pair = [objects.link_object(it) for it in wiring.ledger.links({first}) if {it.old, it.new} == {first, second}]
        typer.echo(objects.dump({"links": pair, "outcomes": []}))


# --- for top and explain ---------------------------------------------------------------------------------------------


def family(wiring: Wiring, macs: Collection[Mac]) -> tuple[frozenset[Mac], tuple[Link, ...]]:
    """All MACs that are probably one device with these, and every link between them."""
    known = wiring.ledger.links(macs) if macs else ()
    likely = [link for link in known if link.undone is None and link.confidence >= LIKELY]
    found = set(macs)
    while more := {mac for link in likely if {link.old, link.new} & found for mac in (link.old, link.new)} - found:
        found |= more
    return frozenset(found), tuple(link for link in known if {link.old, link.new} & found)


def show_family(macs: Collection[Mac], known: Sequence[Link]) -> None:
    if len(macs) > 1:
        show.say(f"probably one device with {len(macs)} MACs: {', '.join(map(str, sorted(macs)))}")
    for link in _once(known):
        show.say(f"  {link_sentence(link)}")


def _once(known: Sequence[Link]) -> list[Link]:
    """What a person undoes is kept in both directions; the one that never looked like a link is told only if the other
    did not either."""
    told = {(link.old, link.new) for link in known if link.because}
    return [it for it in known if it.because or ((it.new, it.old) not in told and it.old < it.new)]
