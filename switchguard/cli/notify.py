"""`notify`: who was told what, what waits, and whether the servers take a message."""

from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.text import Text

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.explain import duration, penalty_phrase
from switchguard.core.letters import Addressee, mail_address
from switchguard.edge.notify_outbox import Entry
from switchguard.edge.notify_post import Delivery, Postman
from switchguard.edge.words import known_language
from switchguard.errors import BadTarget, SiteError, UnknownPlugin

SHOWN = 50

app = typer.Typer(no_args_is_help=True, help="Notices: a sample, what waits, what was sent, what was given up.")


def postman_of(wiring: Wiring) -> Postman:
    if wiring.postman is None:
        raise SiteError("the site tells nobody: it has no 'notices'", str(wiring.site.path / "switchguard.yaml"))
    return wiring.postman


@app.command("test")
def sample(
    ctx: typer.Context,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="WHOM", help="A mail address, `operators`, or a zone; else all that the site names."
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the sample to a mail address; else the site's.")] = "",
    as_json: Json = False,
) -> None:
    """Send a sample and say what each server answered; exit code 1 if one of them did not take it.

    Example: switchguard notify test --to ada@example.org --language de
    """
    wiring = Wiring.of(ctx.obj)
    postman = postman_of(wiring)
    if language and wiring.site.notices is not None:
        known_language(language, wiring.site.notices.texts.words)
    everywhere = postman.everywhere()
    chosen = everywhere if not to else tuple(it for word in to for it in meant(word, everywhere, language))
    if not chosen:
        raise BadTarget("the site names neither operators nor a zone's contact; --to says whom to write to")
    with show.progress("sending"):
        done = postman.test(chosen)
    finish(done, as_json)


def meant(word: str, everywhere: tuple[Addressee, ...], language: str) -> tuple[Addressee, ...]:
    if "@" in word:
        try:
            return (Addressee("person", word, mail_address(word), language),)
        except ValueError as error:
            raise BadTarget(str(error)) from None
    found = tuple(it for it in everywhere if word in (it.kind, it.name) and (it.kind == "zone" or word == it.kind))
    if not found:
        names = {it.name if it.kind == "zone" else it.kind for it in everywhere}
        raise UnknownPlugin("addressee", word, (*names, "a mail address"))
    return found


def finish(done: tuple[Delivery, ...], as_json: bool) -> None:
    """What became of each, and the exit code that says so."""
    if as_json:
        typer.echo(objects.dump({"deliveries": [delivery_object(it) for it in done]}))
    for it in () if as_json else done:
        if it.why:
            show.complain(f"{it.to}: not sent: {it.why}")
        else:
            show.say(f"{it.to}: sent")
    if any(it.why for it in done):
        raise typer.Exit(1)


def delivery_object(it: Delivery) -> objects.Json:
    return {"to": it.to, "notices": it.letters, "sent": not it.why, "why": it.why}


@app.command("send")
def send(ctx: typer.Context, as_json: Json = False) -> None:
    """Send now what is due; the service does that by itself.

    Example: switchguard notify send
    """
    done = postman_of(Wiring.of(ctx.obj)).round()
    if not done and not as_json:
        show.say("nothing is due")
    finish(done, as_json)


@app.command("retry")
def retry(ctx: typer.Context, as_json: Json = False) -> None:
    """Try again what was given up, and what waits after a failure: with the service's next round, or `notify send`.

    Example: switchguard notify retry
    """
    again = Wiring.of(ctx.obj).outbox.retry(clock())
    if as_json:
        typer.echo(objects.dump({"due": again}))
    else:
        show.say(f"{again} {'notice is' if again == 1 else 'notices are'} due again")


@app.command("outbox")
def outbox(
    ctx: typer.Context,
    state: Annotated[
        Literal["planned", "waiting", "sent", "failed"] | None,
        typer.Option(help="Only these; `planned` wait until a device has the penalty, `failed` were given up."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Notices that are planned, wait, were sent or were given up, the newest 50, oldest first.

    Example: switchguard notify outbox --state failed
    """
    wiring = Wiring.of(ctx.obj)
    found = wiring.outbox.entries(state, SHOWN)
    standing = wiring.outbox.standing()
    if as_json:
        notices = [entry_object(it) for it in found]
        typer.echo(objects.dump({"notices": notices, **asdict(standing)}))
        return
    rows = show.table("written", "state", "to", "about", "tries", "when", "trouble", right=("tries",))
    for it in found:
        cells = (f"{it.written:%Y-%m-%d %H:%M}", it.state, str(it.letter.to), about(it), str(it.tries), when(it))
        rows.add_row(*map(Text, (*cells, it.trouble)))
    if found:
        show.console().print(rows)
    show.say(standing.sentence())


def about(it: Entry) -> str:
    told = it.letter.facts
    return f"{told.client}: {penalty_phrase(told.penalty)} {it.letter.event}"


def when(it: Entry) -> str:
    """Until the next attempt, or the moment when it was settled; nothing as long as no device has the penalty."""
    if it.state == "planned":
        return ""
    if it.settled is not None:
        return f"{it.settled:%Y-%m-%d %H:%M}"
    left = (it.due - clock()).total_seconds()
    return f"in {duration(left)}" if left > 0 else "now"


def entry_object(it: Entry) -> objects.Json:
    told, to = it.letter.facts, it.letter.to
    return {
        "penalty": told.verdict,
        "event": it.letter.event,
        "client": told.client,
        "to": {"kind": to.kind, "name": to.name, "mail": to.mail or None, "language": to.language},
        "state": it.state,
        "written": it.written.isoformat(),
        "due": it.due.isoformat() if it.state == "waiting" else None,
        "settled": None if it.settled is None else it.settled.isoformat(),
        "tries": it.tries,
        "trouble": it.trouble,
    }
