"""`dns-zone`: names that a resolver shall lead to the landing page."""

from pathlib import Path
from typing import Annotated

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.cli.targets import parse_address
from switchguard.cli.wiring import clock
from switchguard.core.model import Address
from switchguard.edge.dns_zone import Format, Names, read_names, zone
from switchguard.errors import BadTarget, SiteError


def dns_zone(
    names: Annotated[Path, typer.Option("--list", metavar="FILE", help="One name or URL per line; # is a comment.")],
    to: Annotated[list[str], typer.Option(metavar="ADDR", help="Where they lead; once for IPv4, once for IPv6.")],
    form: Annotated[Format, typer.Option("--format", help="Whose configuration it is.")] = "rpz",
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Instead of standard output.")] = None,
    as_json: Json = False,
) -> None:
    """A zone that leads listed names, and everything below them, to the landing page.

    Example: switchguard dns-zone --list trackers.txt --to 10.10.0.2 --format unbound
    """
    targets = parse_targets(to)
    found = read_names(names)
    now = clock()
    text = zone(found.names, targets, form, int(now.timestamp()))
    if output is not None:
        write(output, text)
    if as_json:
        typer.echo(objects.dump(zone_object(found, targets, form, text)))
        return
    for number, what in found.addresses:
        show.complain(f"{names}:{number}: left out: {what} is an address, and DNS cannot lead it elsewhere")
    for number, what in found.repeated:
        show.complain(f"{names}:{number}: left out: {what} is in the list already")
    if output is None:
        typer.echo(text, nl=False)
    else:
        show.say(f"{output}: {len(found.names)} {'name' if len(found.names) == 1 else 'names'}")


def parse_targets(to: list[str]) -> tuple[Address, ...]:
    targets = tuple(map(parse_address, to))
    for target in targets:
        if target.is_multicast or target.is_unspecified or getattr(target, "scope_id", None):
            raise BadTarget(f"{target} is no address that a page can have")
    if len({target.version for target in targets}) != len(targets):
        raise BadTarget("--to is for one IPv4 and one IPv6 address at most")
    return targets


def write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise SiteError(error.strerror or str(error), str(file)) from error


def zone_object(found: Names, targets: tuple[Address, ...], form: Format, text: str) -> objects.Json:
    left_out = (("address", found.addresses), ("repeated", found.repeated))
    return {
        "format": form,
        "to": [str(target) for target in targets],
        "names": list(found.names),
        "left_out": [{"line": number, "text": what, "why": why} for why, rows in left_out for number, what in rows],
        "zone": text,
    }
