"""Serving, within bounds: how many connections at once, how large a request, how long a silence."""

from collections.abc import Callable, Iterable
from typing import Any

from waitress.server import create_server

from switchguard.errors import LandingError

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(app: Application, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Until SystemExit is raised in this thread. `ready` hears the port, which the system chooses for port 0.

    LandingError if nobody can listen there.
    """
    try:
        server = create_server(
            app,
            host=host,
            port=port,
            threads=8,
            ident=None,
            connection_limit=500,
            channel_timeout=20,
            cleanup_interval=5,
            max_request_header_size=16 * 1024,
            max_request_body_size=16 * 1024,
            # Whose X-Forwarded-For is believed is decided per request, by the site's trusted_proxies.
            clear_untrusted_proxy_headers=False,
        )
    except (OSError, ValueError) as error:
        raise LandingError(f"nobody can listen on {host} port {port}: {error}") from error
    ready(server.effective_port)
    server.run()
