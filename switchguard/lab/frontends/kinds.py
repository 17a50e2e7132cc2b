"""What the words of a configuration line may be: numbers, VLANs, MACs, addresses, names, and the ports that this
switch has."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from switchguard.core.model import Mac
from switchguard.lab.frontends.config import Kind
from switchguard.lab.plane import PortRow


def number(word: str, limits: str) -> str | None:
    """Limits like 8000-1000000."""
    low, _, high = limits.partition("-")
    return str(int(word)) if word.isascii() and word.isdigit() and int(low) <= int(word) <= int(high) else None


def vlan(word: str, _: str = "") -> str | None:
    return number(word, "1-4094")


def vlans(word: str, _: str = "") -> str | None:
    """10,20 or 10-20."""
    return word if all(vlan(part) for part in re.split(r"[,-]", word)) else None


def mac(word: str, _: str = "") -> str | None:
    """Shown lower-case and dotted, however it was typed (dotted or with colons)."""
    if not re.fullmatch(r"[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", word):
        return None
    return Mac.parse(word).dotted()


def colon_mac(word: str, _: str = "") -> str | None:
    """The same, shown with colons: how EOS lists the entries of a MAC access list."""
    dotted = mac(word)
    return str(Mac.parse(dotted)) if dotted else None


def address(word: str, _: str = "") -> str | None:
    try:
        return str(IPv4Address(word))
    except AddressValueError:
        return None


def prefix(word: str, _: str = "") -> str | None:
    try:
        return str(IPv4Interface(word)) if "/" in word else None
    except ValueError:
        return None


def address6(word: str, _: str = "") -> str | None:
    """Shown in capitals, as IOS does."""
    try:
        return str(IPv6Address(word)).upper()
    except AddressValueError:
        return None


def prefix6(word: str, _: str = "") -> str | None:
    try:
        return str(IPv6Interface(word)).upper() if "/" in word else None
    except ValueError:
        return None


def name(word: str, _: str = "") -> str | None:
    return word


def duration(word: str, _: str = "") -> str | None:
    """Hours, minutes, seconds: 00:05:00."""
    return word if re.fullmatch(r"\d{1,2}:[0-5]\d:[0-5]\d", word) else None


def one_of(word: str, choices: str) -> str | None:
    """Choices like access,trunk; matched without regard to case."""
    return next((choice for choice in choices.split(",") if choice.lower() == word.lower()), None)


def port_kind(ports: Sequence[PortRow], virtual: str) -> Kind:
    """Long and abbreviated names of these ports, and of the numbered virtual ones that `virtual` names (Vlan,
    Management)."""
    known = {port.long.lower(): port.long for port in ports}

    def port(word: str, _: str) -> str | None:
        found = re.fullmatch(r"([a-z-]+)([\d/.]+)", word.lower())
        if not found:
            return None
        typed, number_ = found.groups()
        if number_.isdigit():
            known_virtual = [each for each in virtual.split(",") if each.lower().startswith(typed)]
            if known_virtual and len(typed) > 1:
                return known_virtual[0] + number_
        long_names = (long for lower, long in known.items() if _means(lower, typed, number_))
        return next(long_names, None)

    return port


def _means(long: str, typed: str, number_: str) -> bool:
    stem = long.rstrip("0123456789/.")
    return len(typed) > 1 and stem.startswith(typed) and long == stem + number_


def kinds(ports: Sequence[PortRow], virtual: str) -> Mapping[str, Kind]:
    return {
        "number": number,
        "vlan": vlan,
        "vlans": vlans,
        "mac": mac,
        "colon-mac": colon_mac,
        "address": address,
        "prefix": prefix,
        "address6": address6,
        "prefix6": prefix6,
        "name": name,
        "duration": duration,
        "of": one_of,
        "port": port_kind(ports, virtual),
    }
