"""What may be said about a penalty: what is done, for how long, the ladder of a repeated offence, and the box."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from switchguard.core.penalties import Block, Notify, Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap
from switchguard.core.policy import Box, Probation, Sentence, SharedLink
from switchguard.edge.strict import ClockTime, Duration, Factor, Rate, Share, Strict, Term, Unit

KINDS = ("notify", "cap", "limit", "ports", "quarantine", "block")


def _written_short(step: object) -> object:
    """`notify` alone says everything."""
    return {"notify": True} if step == "notify" else step


def _steps(ladder: object) -> object:
    """One penalty is a ladder of one step."""
    if ladder == []:
        raise ValueError("a ladder has at least one step")
    return [_written_short(step) for step in (ladder if isinstance(ladder, list) else [ladder])]


def _softer_steps(ladder: object) -> object:
    return [_written_short(step) for step in ladder] if isinstance(ladder, list) else ladder


def _until(text: object) -> object:
    return None if text == "release" else text


class StepModel(Strict):
    """Exactly one of the ways to be penalised."""

    notify: Literal[True] | None = Field(
        default=None, description="`true`: people are told, and nothing is done; the penalty may be just `notify`"
    )
    cap: int | None = Field(default=None, gt=0, description="at most this many sessions at a time")
    limit: Rate | None = Field(default=None, description="at most this much traffic, each way: the client's slice")
    ports: int | None = Field(default=None, ge=1, le=65535, description="no remote ports above this one; 1024 is usual")
    quarantine: int | None = Field(default=None, ge=1, le=4094, description="its access port is put into this VLAN")
    block: Literal["mac", "address"] | None = Field(
        default=None, description="cut the client off, by its MAC or its address"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"a penalty is exactly one of {', '.join(KINDS)}")
        return self

    def penalty(self) -> Penalty:
        if self.cap is not None:
            return SessionCap(self.cap)
        if self.limit is not None:
            return RateLimit(self.limit)
        if self.ports is not None:
            return RestrictPorts(self.ports)
        if self.quarantine is not None:
            return Quarantine(self.quarantine)
        return Notify() if self.block is None else Block(self.block)


class ProbationModel(StepModel):
    lasts: Duration = Field(default=timedelta(hours=1), description="for how long after the release")

    def probation(self) -> Probation:
        return Probation(self.penalty(), self.lasts)


class PenaltyModel(StepModel):
    lasts: Term = Field(default=timedelta(hours=2), description="the first time")
    until: Annotated[ClockTime | None, BeforeValidator(_until), Unit("time of day: 00:00; or `release`")] = Field(
        default=None,
        description="instead of `lasts`: when the site's clock shows this time next; `release`: when somebody lifts it",
    )
    escalate: Factor = Field(default=1.0, description="each further time it lasts this much longer")
    at_most: Duration | None = Field(default=None, description="but never longer than this")
    forget_after: Duration = Field(
        default=timedelta(days=7), description="after this long, an ended penalty counts half; of a ladder, all of it"
    )
    probation: ProbationModel | None = Field(
        default=None, description="something softer that follows when the time is up"
    )

    @model_validator(mode="after")
    def _sensible_term(self) -> Self:
        if self.at_most is not None and (self.lasts is None or self.lasts > self.at_most):
            raise ValueError("at_most is shorter than lasts")
        twice = sorted({"lasts", "escalate", "at_most"} & self.model_fields_set)
        if "until" in self.model_fields_set and twice:
            raise ValueError(f"until says when it ends; {' and '.join(twice)} would say it again")
        return self

    def sentence(self, then: tuple[Sentence, ...] = ()) -> Sentence:
        released = "until" in self.model_fields_set and self.until is None
        return Sentence(
            penalty=self.penalty(),
            lasts=None if released else self.lasts,
            escalate=self.escalate,
            at_most=self.at_most,
            forget_after=self.forget_after,
            until=self.until,
            probation=None if self.probation is None else self.probation.probation(),
            then=then,
        )


Ladder = Annotated[list[PenaltyModel], BeforeValidator(_steps)]
"""A penalty, or a list of them: for the first offence, the second one, and so on."""
SofterLadder = Annotated[list[StepModel], BeforeValidator(_softer_steps)]


def sentence_of(ladder: Sequence[PenaltyModel]) -> Sentence:
    """ValueError where a step says what only the whole ladder can have, or what it would never do."""
    first, *others = ladder
    if any("forget_after" in step.model_fields_set for step in others):
        raise ValueError("forget_after belongs into the first step: there is one memory for the whole ladder")
    for step in ladder[:-1]:
        if grows := sorted({"escalate", "at_most"} & step.model_fields_set):
            raise ValueError(f"{grows[0]} belongs into the last step: the others lead to the next one instead")
    return first.sentence(tuple(step.sentence() for step in others))


class BoxModel(Strict):
    """Everybody who is limited for an offence, together."""

    share_of_link: Share = Field(
        default=0.10,
        gt=0,
        description="what they may use of the link's capacity together, each way, of the smaller one",
    )
    empty_at: ClockTime | None = Field(
        default=None, description="every day at this time the rules' limits in the box end, and people are told"
    )

    def box(self, link: SharedLink) -> Box:
        """In whole kbit/s, which every platform tells exactly."""
        capacity = min(link.capacity_in_bps, link.capacity_out_bps)
        return Box(max(1, round(capacity * self.share_of_link) // 1_000) * 1_000, self.empty_at)
