"""A landing page over a real ledger, and clients who come to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from werkzeug.test import TestResponse

from switchguard.core.changes import Change, Outcome, Plan, Slot
from switchguard.core.model import Address, Attribution, Client, ClientId, Mac
from switchguard.core.penalties import Penalty, RateLimit, SessionCap, Verdict
from switchguard.core.policy import Policy, Probation, Rule, Sentence, Zone
from switchguard.core.visitors import Landing, LetMeBack, faces
from switchguard.edge.front_desk import FrontDesk
from switchguard.edge.ledger import SqlLedger
from switchguard.web.landing import Page
from switchguard.web.paper import Paper
from switchguard.web.words import languages

NOW = datetime(2026, 11, 20, 13, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
CULPRIT, NEIGHBOUR = "10.10.0.107", "10.10.0.109"
MACS = {CULPRIT: Mac.parse("02:00:00:00:00:07"), NEIGHBOUR: Mac.parse("02:00:00:00:00:09")}
BECAUSE = "1,490 of 1,500 sessions go to different hosts, 94 % active, 98 % to ports above 1024"
CONTACT = "help desk in hall 3, help@example.org"
POLICY = Policy(
    zones=(Zone("delegates", (ip_network("10.10.0.0/16"),)),),
    rules=(
        Rule("swarm", "naughty_factor", 0.8, 3, Sentence(SessionCap(50), probation=Probation(SessionCap(200), MINUTE))),
        Rule("daily", "quota", 1e9, 1, Sentence(RateLimit(64_000))),
        Rule("hog", "share_of_link", 0.12, 3, Sentence(RateLimit(2_000_000))),
        Rule("early", "naughty_factor", 0.4, 5, Sentence(SessionCap(50))),
        Rule("probing", "connections", 500, 1, Sentence(SessionCap(50))),
    ),
    zone=BERLIN,
)
GRANTED = Landing(contact=CONTACT, let_me_back=LetMeBack(2))


def verdict(penalty: Penalty, rule: str = "swarm", address: str = CULPRIT, **otherwise: object) -> Verdict:
    mac = MACS[address]
    made = Verdict(
        id=f"{rule}-{penalty.kind}-{address}",
        client=ClientId(f"mac:{mac}"),
        rule=rule,
        penalty=penalty,
        since=NOW - 28 * MINUTE,
        until=NOW + 92 * MINUTE,
        because=BECAUSE,
        macs=(mac,),
        addresses=(ip_address(address),),
    )
    return replace(made, **otherwise)  # type: ignore[arg-type]  # fields of a Verdict, checked when it is made


def seen(holders: Mapping[str, Mac], at: datetime = NOW) -> Attribution:
    """Who has which address."""
    clients = (
        Client(ClientId(f"mac:{mac}"), (mac,), (ip_address(address),), None, None, "not asked")
        for address, mac in holders.items()
    )
    return Attribution(at, tuple(clients))


@dataclass
class Reception:
    """The page, and what happens around it."""

    folder: Path
    landing: Landing = GRANTED
    policy: Policy = POLICY
    now: datetime = NOW
    tick_s: float = 0.0
    ledger: SqlLedger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = SqlLedger(self.folder / "state" / "switchguard.db", clock=lambda: self.now)
        self.app = self.page().app()

    def page(self) -> Page:
        desk = FrontDesk(self.ledger, self.policy, self.landing, MINUTE, lambda: self.now)
        words, paper = languages(self.folder), Paper(self.folder)
        paper.check(words, self.landing.contact)
        here = self.policy.zone
        return Page(desk, self.landing, words, paper, lambda: self.now.astimezone(here), lambda: self.tick_s)

    # --- what the service does

    def sentence(self, *verdicts: Verdict, on_device: bool = True) -> None:
        self.ledger.sentence(verdicts, (), NOW - 28 * MINUTE)
        if on_device:
            puts = [Change(_slot(it), None, it.penalty, (it.id,)) for it in verdicts if it.penalty.kind != "notify"]
            self.ledger.intend(Plan(NOW, tuple(puts)))
            self.ledger.record([Outcome(it, "verified", "", None, 0.0) for it in puts], NOW)

    def look(self, holders: Mapping[str, Mac] = MACS) -> None:
        """After a pass."""
        self.ledger.save_faces(faces(seen(holders, self.now), self.ledger.present()))

    def lift(self) -> None:
        """What the next pass does to slots that nobody wants."""
        standing = {it.id for it in self.ledger.standing()}
        gone = [held.slot for held in self.ledger.held() if not standing & set(held.verdicts)]
        self.ledger.intend(Plan(self.now, forgotten=tuple(gone)))

    # --- what visitors do

    def get(self, path: str = "/", address: str = CULPRIT, **headers: str) -> TestResponse:
        return self._ask("GET", path, address, headers)

    def text(self, address: str = CULPRIT, language: str = "en") -> str:
        return self.get(f"/?lang={language}", address).text

    def press(self, token: str, address: str = CULPRIT, path: str = "/let-me-back", **headers: str) -> TestResponse:
        return self._ask("POST", path, address, headers, {"token": token})

    def _ask(
        self, method: str, path: str, address: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        there = {"REMOTE_ADDR": address}
        return self.app.test_client().open(path, method=method, headers=named, data=form, environ_overrides=there)


def whats(events: Sequence[object]) -> list[str]:
    return [getattr(event, "what", "") for event in events]


def address_of(text: str) -> Address:
    return ip_address(text)


def _slot(verdict: Verdict) -> Slot:
    return Slot("gw1", verdict.penalty.kind, address=verdict.addresses[0])
