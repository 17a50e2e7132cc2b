"""What a person typed -> the client that is meant."""

import re
from collections.abc import Collection
from difflib import get_close_matches

from switchguard.core.model import (
    Address,
    Attribution,
    Client,
    ClientId,
    Mac,
    Network,
    plain_address,
    plain_network,
)
from switchguard.errors import BadTarget

_NUMBERS = re.compile(r"[0-9a-fA-F]*\.[0-9a-fA-F.]*")
"""With a dot, and nothing in it that only a name has."""
_GROUPS = re.compile(r"\w\w?(-\w\w?){5}|\w{4}([.-]\w{4}){2}", re.ASCII)
"""As MAC addresses are written."""

Target = Mac | Address | str
"""A MAC, an address, or the name of an owner."""


def parse_target(text: str) -> Target:
    """A MAC in any spelling, an IPv4 or IPv6 address, or a user name, also as `user:NAME`. BadTarget for what looks
    like a broken one."""
    if text.startswith("user:"):
        return parse_user(text.removeprefix("user:"))
    for reading in (Mac.parse, plain_address):
        try:
            return reading(text)
        except ValueError:
            continue
    if _has_scope(text):
        raise BadTarget(f"{text!r} has a scope; write the address without `%` and what follows")
    if not text or any(character in text for character in ":/ ") or _is_nearly_an_address(text):
        raise BadTarget(f"{text!r} is neither a MAC address, an IP address nor a user name (or write user:NAME)")
    return text


def _has_scope(text: str) -> bool:
    """`fe80::1%eth0`, and whatever else may stand there."""
    try:
        return "%" in text and bool(plain_address(text.partition("%")[0]))
    except ValueError:
        return False


def _is_nearly_an_address(text: str) -> bool:
    """`10.10.O.5`, `10.10.0.1x`, `10.10.0.1,10.10.0.2`, `02-00-00-00-00-0g`: hardly anybody is called so."""
    digits, rest = sum(it.isdigit() for it in text), sum(it.isalpha() for it in text)
    in_groups = digits > 0 and _GROUPS.fullmatch(text) is not None
    return in_groups or _NUMBERS.fullmatch(text) is not None or (text.count(".") >= 2 and digits >= rest)


def parse_user(text: str) -> str:
    """Any name that a VPN may have told: `alice`, `a.smith@example.org`, `CN=alice`."""
    if not text.strip() or not text.isprintable():
        raise BadTarget(f"{text!r} is no name of a user")
    return text.strip()


def known_user(name: str, known: Collection[str]) -> str:
    """BadTarget if it is nobody's: what stands for nobody would be found out when it is needed."""
    if name in known:
        return name
    near = get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise BadTarget(f"nobody called {name!r} is known{hint} Write user:{name} for somebody who has yet to come")


def parse_mac(text: str) -> Mac:
    try:
        return Mac.parse(text)
    except ValueError as error:
        raise BadTarget(str(error)) from None


def parse_address(text: str) -> Address:
    """BadTarget for anything else, and for one with a scope: no table has it, and it goes into commands."""
    try:
        return plain_address(text)
    except ValueError as error:
        if _has_scope(text):
            raise BadTarget(str(error)) from None
        raise BadTarget(f"{text!r} is not an IP address; write it like 10.10.0.107 or 2001:db8::7") from None


def parse_network(text: str) -> Network:
    """BadTarget for one with host bits too (10.10.0.1/28 is a typo for something)."""
    try:
        return plain_network(text)
    except ValueError as error:
        raise BadTarget(f"{text!r} is not a network: {error}") from None


def meant(target: Target, client: Client | None) -> tuple[ClientId, tuple[Mac, ...], tuple[Address, ...]]:
    """Identity, MACs and addresses of a request: what was named and nothing else.

    A MAC among several of one owner means that MAC alone, an address among several of one MAC that address alone. An
    address of a VPN user means the user: it is somebody else's tomorrow.
    """
    match target:
        case Mac():
            alone = client is not None and client.macs == (target,)
            return ClientId(f"mac:{target}"), (target,), client.addresses if client is not None and alone else ()
        case str():
            identity = ClientId(f"user:{target}")
            return (identity, client.macs, client.addresses) if client else (identity, (), ())
        case _ if client is not None and client.identity.startswith("user:"):
            return client.identity, client.macs, client.addresses
        case _:
            alone = client is not None and client.addresses == (target,)
            identity = client.identity if client is not None and alone else ClientId(f"address:{target}")
            return identity, client.macs if client is not None and alone else (), (target,)


def find(attribution: Attribution, target: Target) -> Client | None:
    if isinstance(target, str):
        user = next((it for it in attribution.clients if it.identity == f"user:{target}"), None)
        if user is not None:
            return user
    for client in attribution.clients:
        if target in client.macs or target in client.addresses or target == client.owner:
            return client
    return None


def why_unknown(attribution: Attribution, target: Target) -> str:
    """Why `find` came back with nothing: unattributed, one of our own, or simply not there."""
    for item in attribution.unattributed:
        if str(target) in item.what.split():
            return item.why
    if isinstance(target, Mac) and target in attribution.infrastructure:
        return f"it belongs to {attribution.infrastructure[target]}, one of our own devices"
    if not isinstance(target, Mac | str) and target in attribution.infrastructure_addresses:
        return f"it belongs to {attribution.infrastructure_addresses[target]}, one of our own devices"
    if attribution.gaps:
        missing = ", ".join(sorted({f"{gap.device} {gap.table}" for gap in attribution.gaps}))
        return f"it is in no table that could be read; not read: {missing}"
    return "it is in no ARP, forwarding or translation table now"
