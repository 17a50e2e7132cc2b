"""`web landing`: the page where clients read what stands against them and how to fix it."""

import re
import signal
import sys
import time
from types import FrameType
from typing import Annotated

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.targets import parse_address
from switchguard.cli.wiring import Wiring, clock
from switchguard.core.penalties import Block, Quarantine
from switchguard.core.visitors import Known
from switchguard.edge.front_desk import FrontDesk
from switchguard.edge.logs import configure_logs
from switchguard.errors import BadTarget, UnknownPlugin
from switchguard.web.landing import Page
from switchguard.web.paper import Paper
from switchguard.web.serving import Bounds, serve
from switchguard.web.story import View, view
from switchguard.web.words import languages

_LISTEN = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})")

app = typer.Typer(no_args_is_help=True, help="Pages for the network's clients: `web landing`.")


@app.callback()
def web() -> None:
    """Pages for the network's clients."""


@app.command("landing")
def landing(
    ctx: typer.Context,
    listen: Annotated[str, typer.Option(metavar="ADDR:PORT", help="Where to answer HTTP.")] = "127.0.0.1:8080",
    preview: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Print what a visitor from this address would read, and stop.")
    ] = None,
    lang: Annotated[str, typer.Option(help="With --preview: the visitor's language.")] = "en",
    as_json: Json = False,
) -> None:
    """The page where clients read what stands against them, since when, until when, and how to fix it.

    Example: switchguard web landing --listen 127.0.0.1:8080
    """
    host, port = parse_listen(listen)
    wiring = Wiring.of(ctx.obj)
    page = page_of(wiring)
    if preview is not None:
        foresee(page, preview, lang, as_json)
        return
    configure_logs("plain" if sys.stderr.isatty() else "json")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if wiring.ledger.faces() is None:
        show.complain("no pass of `switchguard run` is in this ledger yet: until there is one, the page knows nobody")
    bounds = Bounds(proxies=page.landing.trusted_proxies)
    serve(page.app(), host, port, lambda bound: announce(host, bound, page, as_json), bounds)


def page_of(wiring: Wiring) -> Page:
    """Everything that may be wrong with texts, template and ledger is said here, before anybody listens."""
    site = wiring.site
    desk = FrontDesk(wiring.ledger, site.policy, site.landing, site.poll.nat, clock)
    known, paper = languages(site.path), Paper(site.path)
    paper.check(known, site.landing.contact)
    return Page(desk, site.landing, known, paper, lambda: clock().astimezone(site.policy.zone), time.monotonic)


def announce(host: str, port: int, page: Page, as_json: bool) -> None:
    where = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    if as_json:
        typer.echo(objects.dump({"url": where, "languages": list(page.languages)}))
    else:
        show.say(f"landing page: {where} ({', '.join(page.languages)})")
    sys.stdout.flush()


def foresee(page: Page, address: str, lang: str, as_json: bool) -> None:
    if lang not in page.languages:
        raise UnknownPlugin("language", lang, page.languages)
    known = page.desk.find(parse_address(address))
    shown = view(known, page.languages[lang], page.clock())
    if as_json:
        typer.echo(objects.dump(preview_object(address, known, shown)))
        return
    show.say(f"{shown.title}\n{shown.intro}")
    for item in shown.items:
        show.say(f"\n{item.title}: {' - '.join(filter(None, (item.since, item.until)))}\n{item.why}")
        for line in filter(None, (*item.facts, item.others, *item.fix)):
            show.say(f"- {line}")


def preview_object(address: str, known: Known | None, shown: View) -> objects.Json:
    cases = () if known is None else known.cases
    return {
        "address": address,
        "known": known is not None,
        "captive": any(isinstance(case.verdict.penalty, Block | Quarantine) for case in cases),
        "penalties": [{"id": case.verdict.id, "rule": case.verdict.rule, "state": case.state} for case in cases],
        "wishes": None if known is None else known.wishes,
        "title": shown.title,
        "text": [line for item in shown.items for line in (item.why, *item.facts, item.others, *item.fix) if line],
    }


def parse_listen(text: str) -> tuple[str, int]:
    found = _LISTEN.fullmatch(text)
    if found is None or int(found[3]) > 65535:
        raise BadTarget(f"{text!r} is no address with a port; write it like 127.0.0.1:8080 or [::1]:8080")
    return str(parse_address(found[1] or found[2])), int(found[3])


def stop(_number: int, _frame: FrameType | None) -> None:
    """Requests in progress are answered; then the command ends."""
    raise SystemExit
