"""What a pass decided -> messages for people: who was noticed, and who left the box when it was emptied.

A notice is told once, when it begins; while it stands the same breach says nothing more, so that `lasts` of a notice
is how often somebody hears of the same client. One pass makes at most one message of a kind, however many clients it
is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from switchguard.core.changes import Plan
from switchguard.core.decide import TIME_IS_UP
from switchguard.core.explain import release_sentence, verdict_sentence
from switchguard.core.ladder import in_box
from switchguard.core.penalties import Decision, Notify, Verdict


@dataclass(frozen=True, slots=True)
class Notice:
    """A message as a Notifier takes it."""

    subject: str
    text: str


def notices(decision: Decision, plan: Plan) -> tuple[Notice, ...]:
    """Of one pass; both were made at the same time. Who is exempt is refused even a notice."""
    spared = {refusal.verdict for refusal in plan.refusals if refusal.verdict is not None}
    told = [it for it in decision.standing if _begins(it, plan.at) and it.id not in spared]
    left = [it for it in decision.released if in_box(it.verdict) and it.why != TIME_IS_UP]
    made = []
    if told:
        made.append(Notice(f"{_clients(told)} noticed", "\n".join(verdict_sentence(it) for it in told)))
    if left:
        emptied = f"the box was emptied: {_clients([it.verdict for it in left])}"
        made.append(Notice(emptied, "\n".join(release_sentence(it) for it in left)))
    return tuple(made)


def _begins(verdict: Verdict, at: datetime) -> bool:
    return isinstance(verdict.penalty, Notify) and verdict.since == at


def _clients(verdicts: Sequence[Verdict]) -> str:
    count = len({verdict.client for verdict in verdicts})
    return f"{count} client" if count == 1 else f"{count} clients"
