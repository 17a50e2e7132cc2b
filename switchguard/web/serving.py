"""Serving, within bounds: how many connections at once, of them how many from one address, how large a request, how
long it may take to arrive, and how long a silence may be.

One host that holds as many connections as it may, and drips into each of them, keeps nobody else from the page.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from switchguard.core.model import Network
from switchguard.errors import LandingError
from switchguard.web.visitor import peer_address, within

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one visitor may take up."""

    per_address: int = 20
    """Connections at once. A browser opens six."""
    request_s: float = 30.0
    """From a connection's beginning, or the answer before, until a request has arrived whole."""
    silence_s: int = 20
    look_every_s: int = 5
    proxies: tuple[Network, ...] = ()
    """Who may have as many connections as there are: everybody comes by them."""


def serve(app: Application, host: str, port: int, ready: Callable[[int], None], bounds: Bounds | None = None) -> None:
    """Until SystemExit is raised in this thread. `ready` hears the port, which the system chooses for port 0.

    LandingError if nobody can listen there.
    """
    bounds = bounds or Bounds()
    try:
        adjustments = Adjustments(
            host=host,
            port=port,
            threads=8,
            ident=None,
            connection_limit=500,
            channel_timeout=bounds.silence_s,
            cleanup_interval=bounds.look_every_s,
            max_request_header_size=16 * 1024,
            max_request_body_size=16 * 1024,
            # Whose X-Forwarded-For is believed is decided per request, by the site's trusted_proxies.
            clear_untrusted_proxy_headers=False,
        )
        server = _Server(app, bounds, adjustments)
    except (OSError, ValueError) as error:
        raise LandingError(f"nobody can listen on {host} port {port}: {error}") from error
    ready(int(server.effective_port))
    server.run()


class _Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    def __init__(self, *args: Any, **kw: Any) -> None:
        self.waits_since = time.time()
        super().__init__(*args, **kw)

    def service(self) -> None:
        """A whole request has arrived; the time of the next one begins when this one is answered."""
        self.waits_since = time.time()
        super().service()
        self.waits_since = time.time()


class _Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    channel_class = _Connection

    def __init__(self, app: Application, bounds: Bounds, adjustments: Adjustments) -> None:
        self._bounds = bounds
        super().__init__(app, adj=adjustments)

    def accept(self) -> Any:
        """One too many of an address is closed at once: waiting would take a place as well."""
        accepted = super().accept()
        if accepted is None or not self._is_one_too_many(accepted[1][0]):
            return accepted
        accepted[0].close()
        return None

    def _is_one_too_many(self, peer: str) -> bool:
        if within(peer_address(peer), self._bounds.proxies):
            return False
        theirs = [it for it in self.active_channels.values() if it.addr[0] == peer]
        return len(theirs) >= self._bounds.per_address

    def maintenance(self, now: float) -> None:
        """Silence is waitress's business; a request that drips is ours."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            if not channel.requests and now - channel.waits_since > self._bounds.request_s:
                channel.will_close = True
