"""Who asks: the visitor's own address, and whether it asks too often or somebody else asks in its name."""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from secrets import token_bytes

from switchguard.core.model import Address, Network

TOKEN_LASTS = timedelta(hours=1)


# --- whose address ---------------------------------------------------------------------------------------------------


def visitor_address(peer: str, forwarded: str, trusted: Iterable[Network]) -> Address:
    """The connection's other end. Where that is a trusted proxy, whom it got the request from: the rightmost address in
    X-Forwarded-For that is no trusted proxy itself, since everything to the left of it is the visitor's own invention.

    ValueError if a trusted proxy says something that is no address.
    """
    proxies = tuple(trusted)
    address = peer_address(peer)
    named = [part.strip() for part in forwarded.split(",")] if forwarded.strip() else []
    while named and within(address, proxies):
        address = peer_address(named.pop())
    return address


def peer_address(text: str) -> Address:
    """Without the zone of a link-local address; IPv4 in its IPv6 spelling is IPv4."""
    found = ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == it.version and address in it for it in networks)


# --- in whose name ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tokens:
    """Proof that a form was read by whoever sends it: good for one address and one hour. Nothing is remembered, and a
    restart of the page makes a new secret."""

    secret: bytes = field(default_factory=lambda: token_bytes(32), repr=False)

    def make(self, address: Address, now: datetime) -> str:
        ends = int((now + TOKEN_LASTS).timestamp())
        return f"{ends}.{self._sign(ends, address)}"

    def good(self, token: str, address: Address, now: datetime) -> bool:
        ends, _, signature = token.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 12) or int(ends) < now.timestamp():
            return False
        return hmac.compare_digest(signature.encode(), self._sign(int(ends), address).encode())

    def _sign(self, ends: int, address: Address) -> str:
        return hmac.new(self.secret, f"{ends} {address}".encode(), sha256).hexdigest()


# --- how often -------------------------------------------------------------------------------------------------------


class Throttle:
    """So many requests at once per address, filling up again evenly: a token bucket each, of the last few thousand."""

    def __init__(self, burst: int, per_minute: float, clock: Callable[[], float], addresses: int = 4096) -> None:
        self._burst, self._rate, self._clock, self._most = burst, per_minute / 60, clock, addresses
        self._buckets: OrderedDict[Address, tuple[float, float]] = OrderedDict()
        self._counting = threading.Lock()

    def allows(self, address: Address) -> bool:
        now = self._clock()
        with self._counting:
            left, since = self._buckets.pop(address, (float(self._burst), now))
            left = min(self._burst, left + (now - since) * self._rate)
            allowed = left >= 1
            self._buckets[address] = (left - 1 if allowed else left, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return allowed
