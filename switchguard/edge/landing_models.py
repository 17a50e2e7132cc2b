"""What may be said about the landing page, and the core value it becomes."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from switchguard.core.visitors import Landing, LetMeBack
from switchguard.edge.penalty_models import ProbationModel
from switchguard.edge.strict import NetworkText, Strict


def _portal(text: str) -> str:
    """RFC 8908, section 5: devices open it over TLS only."""
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no address of a page; write it like https://help.example.org/")
    return text


class LetMeBackModel(Strict):
    """A button for clients that have fixed what was wrong."""

    per_day: int = Field(default=2, ge=1, le=100, description="so many times within 24 hours, per client")
    probation: ProbationModel | None = Field(
        default=None,
        description="what follows for a while; without it, the probation of the rule's penalty, if it has one",
    )

    def value(self) -> LetMeBack:
        return LetMeBack(self.per_day, None if self.probation is None else self.probation.probation())


class LandingModel(Strict):
    """The page where clients read what stands against them: `switchguard web landing`."""

    url: Annotated[str, AfterValidator(_portal)] | None = Field(
        default=None,
        description="where visitors reach it, `https://help.example.org/`: told to devices that ask (RFC 8908)",
    )
    contact: str = Field(
        default="", max_length=500, description="whom to ask, as it shall be shown; without it, as the notices say"
    )
    trusted_proxies: list[NetworkText] = Field(
        default_factory=list,
        description="reverse proxies in front of it: only their `X-Forwarded-For` is believed",
    )
    let_me_back: LetMeBackModel | None = Field(
        default=None, description='grants the button "fixed it, let me back in"; without it, there is none'
    )

    def landing(self, contact: str, language: str) -> Landing:
        """With the site's own language, and the contact that its notices name where the page has none of its own."""
        let = None if self.let_me_back is None else self.let_me_back.value()
        return Landing(self.url, self.contact or contact, tuple(self.trusted_proxies), let, language)
