"""`rules test`: a policy against a recorded evening. And who each rule would hit, for `plan`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from switchguard.cli import objects, show
from switchguard.cli.options import Json, OtherPolicy
from switchguard.cli.wiring import Wiring, site_directory
from switchguard.core.calendar import Calendar
from switchguard.core.explain import amount, duration, penalty_phrase
from switchguard.core.model import Client, ClientId, Gap
from switchguard.core.penalties import Exemption, Finding
from switchguard.core.policy import Policy
from switchguard.cycle import Doors
from switchguard.edge.archive import Used
from switchguard.edge.complaints import POLICY_FILE
from switchguard.edge.evening import Evening, load_evening
from switchguard.edge.hindsight import STEP, moments
from switchguard.edge.settings import Site, load_site
from switchguard.edge.stage import Stage
from switchguard.errors import BadTarget, LedgerError
from switchguard.replay import Near, Played, Remembered, Ruling, play, play_remembered

A_WEEK = timedelta(days=6)

app = typer.Typer(no_args_is_help=True, help="Try rules where they harm nobody.")


@app.callback()
def _group() -> None:
    """Try rules where they harm nobody."""


@app.command("test")
def try_policy(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A recorded evening, or a snapshot saved by `poll --save`.")],
    site: Annotated[Path | None, typer.Option(metavar="DIR", help="The site, if not told before.")] = None,
    policy: OtherPolicy = None,
    nearest: Annotated[int, typer.Option("--nearest", min=0, help="How many near misses per rule.")] = 3,
    as_json: Json = False,
) -> None:
    """Who would have been penalised in a recorded evening, when, by which rule and why; and who came near.

    Nothing is contacted or written. Site and devices count as if in enforce mode.

    Example: switchguard --site examples/conference rules test examples/conference/evening.json.gz
    """
    wiring = Wiring(load_site(site_directory(site or ctx.obj), policy))
    say_played(wiring.site, file, policy, nearest, as_json, played_by(wiring, load_evening(file), file))


def played_by(wiring: Wiring, evening: Evening, file: Path) -> Played:
    site = wiring.site
    stage = Stage(evening, site.policy, site.logs, site.history)
    names = tuple(wiring.enforcers)
    doors = Doors(
        gather=stage.gather,
        enforced=lambda: stage.enforced(names),
        apply=stage.apply,
        ledger=stage.ledger,
        enforcers=wiring.enforcers,
        clock=stage.clock,
        recall=stage.memory.recall,
        keep=stage.memory.keep,
    )
    with show.progress(f"playing {file}"):
        return play(site.policy, doors, stage.turn())


def remembered_by(wiring: Wiring, now: datetime) -> Played:
    """Today, by the site's clock, as the ledger remembers it. BadTarget if it remembers nothing of it.

    Who is exempt now, also by `exempt add`, is so all day: the question is what the policy would do.
    """
    policy = with_exemptions(wiring.site.policy, wiring.ledger.exemptions(now))
    since = Calendar(policy.zone).window(now, "day").start
    found = moments(wiring.archive, policy, since, now)
    today = [Remembered(it.evidence, {who: _rated(used) for who, used in it.used.items()}) for it in found]
    if not today:
        raise BadTarget(f"the history has kept nothing since {since.astimezone(policy.zone):%H:%M}")
    return play_remembered(policy, today, STEP, wiring.site.poll.nat)


def with_exemptions(policy: Policy, added: Sequence[Exemption] | Gap) -> Policy:
    """Those of the command line beside its own. LedgerError if they cannot be read: it would be a guess."""
    if isinstance(added, Gap):
        raise LedgerError(f"the exemptions cannot be read: {added.why}")
    return replace(policy, exemptions=(*policy.exemptions, *added))


def _rated(used: Used) -> tuple[float, str]:
    most = f"up to {used.sessions or 0:,} sessions to {used.remotes or 0:,} hosts"
    return used.factor or 0.0, f"{most} within {duration(STEP)}, a naughty factor of {used.factor or 0.0:.2f}"


def say_played(site: Site, file: Path, policy: Path | None, nearest: int, as_json: bool, played: Played) -> None:
    written = policy or site.path / POLICY_FILE
    near = tuple(_closest(played.nearest, nearest))
    if as_json:
        typer.echo(objects.dump({"evening": str(file), "policy": str(written), **played_object(played, near)}))
    else:
        _show(played, near, f"{file}, by {written}", site.policy.zone)


def _closest(nearest: Iterable[Near], most: int) -> Iterator[Near]:
    """The first so many of each rule."""
    count: dict[str, int] = {}
    for it in nearest:
        count[it.rule.name] = count.get(it.rule.name, 0) + 1
        if count[it.rule.name] <= most:
            yield it


# --- for programs ----------------------------------------------------------------------------------------------------


def played_object(played: Played, near: Iterable[Near]) -> objects.Json:
    return {
        "since": played.began.isoformat(),
        "until": played.ended.isoformat(),
        "looks": played.looks,
        "clients": len(played.clients),
        "penalties": [ruling_object(it) for it in played.rulings if it.refusal is None],
        "spared": [ruling_object(it) for it in played.rulings if it.refusal is not None],
        "nearest": [near_object(it) for it in near],
        "blind_spots": objects.blind_spot_objects(played.blind),
        "paused": [{"at": at.isoformat(), "why": why} for at, why in played.paused],
    }


def ruling_object(ruling: Ruling) -> objects.Json:
    verdict, release, refusal = ruling.verdict, ruling.release, ruling.refusal
    return {
        "client": verdict.client,
        "addresses": [str(address) for address in verdict.addresses],
        "network": None if verdict.network is None else str(verdict.network),
        "rule": verdict.rule,
        "penalty": objects.penalty_object(verdict.penalty),
        "since": verdict.since.isoformat(),
        "until": verdict.until.isoformat() if verdict.until else None,
        "offence": verdict.offence,
        "probation": verdict.probation,
        "routine": verdict.routine,
        "because": verdict.because,
        "why_released": release.why if release else None,
        "why_not": refusal.why if refusal else None,
        "safeguard": refusal.safeguard if refusal else None,
    }


def near_object(near: Near) -> objects.Json:
    return {
        "rule": near.rule.name,
        "client": near.finding.client,
        "value": round(near.finding.value, 4),
        "threshold": near.rule.above,
        "at": near.at.isoformat(),
        "streak": near.polls,
        "for_polls": near.rule.for_polls,
        "because": near.because,
    }


# --- for people ------------------------------------------------------------------------------------------------------


def _show(played: Played, near: Sequence[Near], what: str, zone: tzinfo) -> None:
    def clock(moment: datetime) -> str:
        """The weekday, or the date where it could be another week's."""
        far = abs(moment - played.ended) >= A_WEEK
        return moment.astimezone(zone).strftime("%d %b %Y" if far else "%a %H:%M")

    span = f"{clock(played.began)} to {clock(played.ended)}"
    show.say(f"{what}: {span}, {played.looks} looks, {len(played.clients)} clients")
    real = [it for it in played.rulings if it.refusal is None and not it.verdict.routine]
    _show_rulings("penalised", [it for it in real if not it.only_told], played, clock)
    _show_rulings("told", [it for it in real if it.only_told], played, clock)
    _show_routine([it for it in played.rulings if it.refusal is None and it.verdict.routine])
    _show_spared([it for it in played.rulings if it.refusal is not None], played, clock)
    _show_near(near, played, clock)
    show.show_blind_spots(played.blind)
    for at, why in played.paused:
        show.complain(f"{clock(at)}: nobody was judged: {why}")


def _show_rulings(title: str, rulings: Sequence[Ruling], played: Played, clock: Callable[[datetime], str]) -> None:
    show.say(f"\n{title}: {_many(len({it.verdict.client for it in rulings}))}")
    if not rulings:
        return
    rows = show.table("from", "until", "client", "rule", "what", "because")
    for it in rulings:
        verdict = it.verdict
        until = clock(verdict.until) if verdict.until else "released"
        again = f" ({verdict.offence}. time)" if verdict.offence > 1 and not verdict.probation else ""
        rule = f"{verdict.rule}, probation" if verdict.probation else verdict.rule
        who = _who(verdict.client, played.clients)
        rows.add_row(clock(verdict.since), until, who, rule + again, penalty_phrase(verdict.penalty), verdict.because)
    show.console().print(rows)


def _show_routine(rulings: Iterable[Ruling]) -> None:
    """What is nobody's fault, in a line for each rule."""
    by_rule: dict[str, set[ClientId]] = {}
    for it in rulings:
        by_rule.setdefault(it.verdict.rule, set()).add(it.verdict.client)
    for rule, clients in by_rule.items():
        show.say(f"\nnobody's fault, by {rule}: {_many(len(clients))}")


def _show_spared(rulings: Sequence[Ruling], played: Played, clock: Callable[[datetime], str]) -> None:
    if rulings:
        show.say("\nspared, though a rule was broken:")
    for it in rulings:
        if it.refusal is not None:
            verdict = it.verdict
            show.say(
                f"  {clock(verdict.since)} {_who(verdict.client, played.clients)}, {verdict.rule}: {it.refusal.why}"
            )


def _show_near(near: Sequence[Near], played: Played, clock: Callable[[datetime], str]) -> None:
    if not near:
        return
    show.say("\nnearest to each rule, and not penalised by it:")
    rows = show.table("rule", "client", "most", "of", "polls", "when", "because", right=("most", "of", "polls"))
    for it in near:
        unit = it.finding.unit
        rows.add_row(
            it.rule.name,
            _who(it.finding.client, played.clients),
            amount(it.finding.value, unit),
            amount(it.rule.above, unit),
            f"{it.polls}/{it.rule.for_polls}",
            clock(it.at),
            it.because,
        )
    show.console().print(rows)


def _many(clients: int) -> str:
    return f"{clients} {'client' if clients == 1 else 'clients'}" if clients else "nobody"


def _who(client: ClientId, clients: Mapping[ClientId, Client]) -> str:
    """`02:00:00:00:00:07 10.10.0.107`."""
    known = clients.get(client)
    name = str(client).removeprefix("mac:").removeprefix("address:")
    address = "" if known is None or not known.addresses or not known.macs else f" {known.addresses[0]}"
    return f"{name}{address}"


# --- for `plan` ------------------------------------------------------------------------------------------------------


def hits_object(policy: Policy, findings: Iterable[Finding]) -> list[objects.Json]:
    """Rule -> whom it finds now."""
    found = tuple(findings)
    return [
        {"rule": rule.name, "kind": rule.kind, "hits": [_hit_object(it) for it in found if it.rule == rule.name]}
        for rule in policy.rules
    ]


def _hit_object(finding: Finding) -> objects.Json:
    return {
        "client": finding.client,
        "addresses": [str(address) for address in finding.addresses],
        **objects.finding_object(finding),
    }


def show_hits(policy: Policy, findings: Iterable[Finding]) -> None:
    """Every rule in a line, and below it whom it finds now."""
    found = tuple(findings)
    for rule in policy.rules:
        hit = [it for it in found if it.rule == rule.name]
        show.say(f"rule {rule.name}: {len(hit) or 'nobody'}")
        for it in hit:
            polls = f"{it.streak} of {rule.for_polls} polls"
            show.say(f"  {str(it.client).removeprefix('mac:')}: {it.because} ({polls})")
