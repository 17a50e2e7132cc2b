"""What may be written under `notices:`. Addresses of servers hold passwords, so they are references to secrets."""

from datetime import time, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from switchguard.core.letters import mail_address
from switchguard.edge.strict import ClockTime, Duration, Reference, Strict


def _pattern(text: str) -> str:
    if text.count("{user}") != 1:
        raise ValueError(f"{text!r} has to have {{user}} in it once; write it like '{{user}}@example.org'")
    mail_address(text.replace("{user}", "user"))
    return text


class NoticesModel(Strict):
    """Who is told what, where and how often."""

    mail: Reference = Field(
        default=None,
        description="the mail server that notices to people go through, as an apprise address "
        "(`mailtos://user:password@smtp.example.org?from=noc@example.org`); without it nobody but the operators and "
        "zones with a contact of another sort is told",
    )
    operators: list[Reference] = Field(
        default_factory=list,
        description="where those who run the network are told: apprise addresses of mail, chat, webhook or syslog; "
        "the log has it in any case",
    )
    digest: Literal["cycle", "day"] = Field(
        default="cycle", description="operators and zones' contacts: one message per pass that has news, or one per day"
    )
    digest_at: ClockTime = Field(default=time(7), description="with `digest: day`: when, by the site's time zone")
    users: Annotated[str, AfterValidator(_pattern)] | None = Field(
        default=None, description="the mail address of a VPN user whom the registry does not know: `{user}@example.org`"
    )
    contact: str = Field(default="", description="whom people can ask, as they will read it: a room, a number, a mail")
    ends: Literal["nobody", "operators", "everyone"] = Field(
        default="operators", description="who is told that a penalty has ended"
    )
    folder: str = Field(
        default="notices", description="where the site's own templates and words are, if any; starts at the site"
    )
    most: int = Field(
        default=4, ge=1, description="so many messages to one person or contact `within`; more wait, and go together"
    )
    within: Duration = Field(default=timedelta(days=1), description="see `most`")
    timeout: Duration = Field(default=timedelta(seconds=20), description="how long one message may take to be sent")
    give_up_after: Duration = Field(
        default=timedelta(days=2), description="a notice that could not be sent for so long is given up, and shown"
    )

    @model_validator(mode="after")
    def _somebody_hears(self) -> Self:
        if self.users is not None and self.mail is None:
            raise ValueError("users can be told by mail only, and there is no 'mail'")
        return self
