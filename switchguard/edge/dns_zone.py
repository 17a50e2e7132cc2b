"""A list of names -> a zone for a resolver that leads them, and everything below them, to another address.

One name per line, or a URL whose host is meant, as lists of trackers have them
(`udp://tracker.example.org:1337/announce`); `#` begins a comment. Names may be written in any script (IDNA 2008, RFC
5891, with the mapping of UTS 46) and come out in ASCII. A wildcard, a name of one label, or anything that a resolver's
configuration could misread is an error with its line: nothing of the list comes into the zone but letters, digits,
hyphens, underscores and dots, and no label that begins with `rpz-`, by which a policy zone means clients, addresses and
servers instead of names.

Formats: `rpz`, a response policy zone (BIND, Unbound, Knot Resolver, PowerDNS Recursor); `unbound`, local zones;
`dnsmasq`, lines for conf-dir. Types that the target has no address for are answered with nothing, never from upstream.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import idna

from switchguard.core.model import Address
from switchguard.errors import SiteError

Format = Literal["rpz", "unbound", "dnsmasq"]
TTL_S = 60
"""Short, so that a name that is taken off the list comes back within a minute."""
LONGEST = 200
"""Octets of a name. DNS has 253 of them, and the name of a policy zone comes after it."""
TRIGGER = "rpz-"
"""So begin the labels that make a policy zone's record a rule about clients or addresses: `32.1.0.0.127.rpz-client-ip`
leads everything that 127.0.0.1 asks for to the target."""
SHOWN = 5
"""So many bad lines are told at once."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Names:
    """What a list says. `repeated` and `addresses` are (line, text) of what is left out."""

    names: tuple[str, ...]
    repeated: tuple[tuple[int, str], ...] = ()
    addresses: tuple[tuple[int, str], ...] = ()
    """No zone can lead an address elsewhere."""


def read_names(file: Path) -> Names:
    """In the order of the list. SiteError names the first bad line, and the next few."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise SiteError(error.strerror or str(error), str(file)) from error
    except UnicodeDecodeError as error:
        raise SiteError(f"is no UTF-8 text: {error.reason} at octet {error.start}", str(file)) from error
    found: dict[str, int] = {}
    repeated, addresses, bad = [], [], []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        try:
            name = _host(text) if text else ""
            if not name:
                continue
            if _is_address(name):
                addresses.append((number, name))
            elif (ascii_name := ascii_form(name)) in found:
                repeated.append((number, ascii_name))
            else:
                found[ascii_name] = number
        except ValueError as error:
            bad.append((number, str(error)))
    if bad:
        more = "; ".join(f"line {number}: {why}" for number, why in bad[1:SHOWN])
        rest = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise SiteError(f"{bad[0][1]}{f'; {more}' if more else ''}{rest}", str(file), bad[0][0])
    if not found:
        raise SiteError("has no names", str(file))
    return Names(tuple(found), tuple(repeated), tuple(addresses))


def ascii_form(name: str) -> str:
    """`bücher.example.` is `xn--bcher-kva.example`. ValueError says what is wrong with a name."""
    plain = name.removesuffix(".")
    if "*" in plain:
        raise ValueError(f"{name!r} is a wildcard; write the name alone, what is below it goes with it")
    try:
        made = plain.lower() if plain.isascii() else idna.encode(plain, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise ValueError(f"{name!r} is no name: {error}") from error
    labels = made.split(".")
    if len(made) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{name!r} is no name of a host")
    if len(labels) < 2 or labels[-1].isdigit():
        raise ValueError(f"{name!r} is no name of a host below some domain")
    if trigger := next((label for label in labels if label.startswith(TRIGGER)), ""):
        raise ValueError(f"{name!r} would be a rule of a policy zone, not a name: no label may begin like {trigger!r}")
    return made


def _host(text: str) -> str:
    if "://" not in text:
        return text
    host = urlsplit(text).hostname
    if not host:
        raise ValueError(f"{text!r} has no host")
    return host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


# --- zones -----------------------------------------------------------------------------------------------------------


def zone(names: Sequence[str], targets: Sequence[Address], form: Format, serial: int) -> str:
    """`serial` is the RPZ's; resolvers that transfer it see by a larger one that it has changed."""
    return "".join(f"{line}\n" for line in _FORMATS[form](names, targets, serial))


def _rpz(names: Sequence[str], targets: Sequence[Address], serial: int) -> Iterator[str]:
    """Names are relative to the zone's own, which the resolver's configuration gives it."""
    yield f"; {_about(names, targets)}"
    yield f"$TTL {TTL_S}"
    yield f"@ SOA localhost. hostmaster.localhost. {serial} 3600 600 604800 {TTL_S}"
    yield "@ NS localhost."
    for name in names:
        for owner in (name, f"*.{name}"):
            yield from (f"{owner} {_type(target)} {target}" for target in targets)


def _unbound(names: Sequence[str], targets: Sequence[Address], _serial: int) -> Iterator[str]:
    yield f"# {_about(names, targets)}"
    yield "server:"
    for name in names:
        yield f'    local-zone: "{name}." redirect'
        yield from (f'    local-data: "{name}. {TTL_S} {_type(target)} {target}"' for target in targets)


def _dnsmasq(names: Sequence[str], targets: Sequence[Address], _serial: int) -> Iterator[str]:
    """`local` keeps types other than the targets' from being asked upstream."""
    yield f"# {_about(names, targets)}"
    for name in names:
        yield f"local=/{name}/"
        yield from (f"address=/{name}/{target}" for target in targets)


def _type(target: Address) -> str:
    return "A" if target.version == 4 else "AAAA"


def _about(names: Sequence[str], targets: Sequence[Address]) -> str:
    whose = "1 name, and all below it, lead" if len(names) == 1 else f"{len(names)} names, and all below them, lead"
    return f"{whose} to {' and '.join(map(str, targets))}"


_FORMATS: Mapping[Format, Callable[[Sequence[str], Sequence[Address], int], Iterator[str]]] = {
    "rpz": _rpz,
    "unbound": _unbound,
    "dnsmasq": _dnsmasq,
}
