"""The landing page's requests: the page itself, the button, the captive portal API, and everything else led to it.

Devices are led here by redirects and resolvers, so any host name and any path may be asked for; neither is believed.
Nothing is told but what concerns the visitor's own address. RFC 8908 is the captive portal API.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_urlsafe
from typing import Protocol

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import BadRequest, HTTPException, TooManyRequests

from switchguard.core.model import Address
from switchguard.core.penalties import Block, Quarantine
from switchguard.core.visitors import Known, Landing
from switchguard.errors import SwitchguardError
from switchguard.web.paper import Paper, Sheet
from switchguard.web.story import View, message, view
from switchguard.web.visitor import Throttle, Tokens, visitor_address
from switchguard.web.words import Language, preferred

LOG = logging.getLogger("switchguard.landing")

API = "/captive-portal/api"
WISH = "/let-me-back"
LARGEST_FORM = 2048
"""Octets: a token and a language are a tenth of it."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy: no script at all, no request to anywhere, and only the page's own style."""


class Desk(Protocol):
    """What the page asks the ledger. Both raise a SwitchguardError when it fails."""

    def find(self, address: Address) -> Known | None: ...

    def let_back(self, address: Address) -> bool: ...


@dataclass(frozen=True)
class Page:
    """Everything that an answer is made of. `clock` tells the time in the site's zone, `ticks` seconds."""

    desk: Desk
    landing: Landing
    languages: Mapping[str, Language]
    paper: Paper
    clock: Callable[[], datetime]
    ticks: Callable[[], float]
    tokens: Tokens = field(default_factory=Tokens)

    def app(self) -> Flask:
        """As WSGI."""
        app = Flask("switchguard.web", static_folder=None, template_folder=None)
        app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_FORM
        asked, wished = Throttle(60, 60, self.ticks), Throttle(6, 6, self.ticks)

        def arrive() -> None:
            g.nonce = token_urlsafe(16)
            g.visitor = self.visitor(request)
            if not (wished if request.method == "POST" else asked).allows(g.visitor):
                raise TooManyRequests

        app.before_request(arrive)
        app.after_request(_guarded)
        for path, answer, method in (
            ("/", self.page, "GET"),
            (API, self.api, "GET"),
            (WISH, self.wish, "POST"),
            ("/<path:anything>", self.lead_here, "GET"),
        ):
            app.add_url_rule(path, path, answer, methods=[method], provide_automatic_options=False)
        app.register_error_handler(HTTPException, self.refuse)
        app.register_error_handler(SwitchguardError, self.fail)
        return app

    # --- answers

    def page(self) -> Response:
        known = self.desk.find(g.visitor)
        return self._answer(view(known, self._language(), self.clock()), 503 if known is None else 200)

    def wish(self) -> Response:
        if not self.tokens.good(request.form.get("token", ""), g.visitor, self.clock()):
            return self._answer(message(self._language(), "refused"), 403)
        if not self.desk.let_back(g.visitor):
            return self._answer(message(self._language(), "refused"), 409)
        LOG.info("let back at the own wish", extra={"address": str(g.visitor)})
        return _led_to(f"/?lang={self._language().code}", 303)

    def api(self) -> Response:
        """Captive is who cannot reach the internet. There is no `seconds-remaining`: it tells when somebody who is
        free will be captive (RFC 8908, section 5), which nobody knows."""
        known = self.desk.find(g.visitor)
        if known is None:
            return self._answer(message(self._language(), "unknown"), 503)
        answer: dict[str, object] = {
            "captive": any(isinstance(it.verdict.penalty, Block | Quarantine) for it in known.cases)
        }
        if self.landing.url is not None:
            answer |= {"user-portal-url": self.landing.url, "can-extend-session": False}
        response = Response(json.dumps(answer), mimetype="application/captive+json")
        response.headers["Cache-Control"] = "private, no-store"
        return response

    def lead_here(self, anything: str) -> Response:
        """Whatever else was asked for: a device's own test of its connection, or a tracker."""
        LOG.debug("led here", extra={"path": anything})
        return _led_to(self.landing.url or "/", 302)

    def refuse(self, error: HTTPException) -> Response:
        name = "too_many" if isinstance(error, TooManyRequests) else "bad"
        response = self._answer(message(self._language(), name), error.code or 500)
        if isinstance(error, TooManyRequests):
            response.headers["Retry-After"] = "60"
        return response

    def fail(self, error: SwitchguardError) -> Response:
        LOG.error("no answer", extra={"why": str(error)})
        return self._answer(message(self._language(), "unknown"), 503)

    # --- what answers are made of

    def visitor(self, asked: Request) -> Address:
        try:
            forwarded = ",".join(asked.headers.getlist("X-Forwarded-For"))
            return visitor_address(asked.remote_addr or "", forwarded, self.landing.trusted_proxies)
        except ValueError as error:
            LOG.warning("a trusted proxy forwards no address", extra={"why": str(error)})
            raise BadRequest from error

    def _language(self) -> Language:
        """What the visitor chose on the page, else what the browser prefers, else the site's own."""
        accepted = (tag for tag, share in request.accept_languages if share)
        return preferred(self.languages, [request.args.get("lang", ""), *accepted, self.landing.language])

    def _answer(self, shown: View, status: int) -> Response:
        visitor: Address | None = g.get("visitor")
        token = self.tokens.make(visitor, self.clock()) if visitor is not None and shown.wishes else ""
        sheet = Sheet(shown, self._language(), self.languages, self.landing.contact, token, g.nonce)
        return Response(self.paper.print(sheet), status, mimetype="text/html")


def _led_to(where: str, status: int) -> Response:
    return Response(status=status, headers={"Location": where}, mimetype="text/plain")


def _guarded(response: Response) -> Response:
    for name, value in {**HEADERS, "Content-Security-Policy": POLICY.format(nonce=g.get("nonce", ""))}.items():
        response.headers.setdefault(name, value)
    return response
