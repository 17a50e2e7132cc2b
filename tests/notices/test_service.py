"""A whole pass of the service with a `notify` rule: the mail arrives, and a server that hangs delays no pass."""

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from mail_server import PATIENCE_S, Mailbox, free_port, smtp

from switchguard.cli.wiring import Wiring
from switchguard.core.model import Device, Mac, NatUsage, Neighbor, Reading, Role, Snapshot, Table
from switchguard.cycle import Pass
from switchguard.edge.settings import load_site
from switchguard.schedule import Periods, Service, Setup

POLICY = """\
mode: enforce
zones:
  guests: {networks: [10.10.0.0/16]}
registry: {file: people.csv}
notices:
  mail: {env: SG_TEST_MAIL}
  contact: room 3
  timeout: 10s
rules:
  swarm: {kind: naughty_factor, above: 0.8, for_polls: 1, penalty: notify}
"""
HOSTS = """\
gw:
  hostname: 127.0.0.1
  platform: linux
  data: {switchguard: {role: gateway}}
"""
PEOPLE = "mac,person,mail,language\n02:00:00:00:00:07,Ada,ada@example.org,es\n"
GATEWAY = Device("gw", "linux", Role.GATEWAY)
SWARM = NatUsage("gw", ip_address("10.10.0.7"), 1500, 1490, 900, 0.3, 0.7, 0.2, 0.98, 0.94)
WHOSE = Neighbor("gw", "lan0", SWARM.address, Mac(0x020000000007))
RARELY = timedelta(hours=1)


@dataclass
class World:
    """A site, the service that serves it, and a gateway that always tells the same."""

    site: Path
    mail: Mailbox
    port: int
    passes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.wiring = Wiring(load_site(self.site))
        self.service = Service(self.setup(), lambda _event, **_facts: None, self.report)

    def setup(self) -> Setup:
        doors = replace(self.wiring.doors(), gather=self.gather, enforced=dict, gather_from=None)
        return Setup(self.wiring.site.policy, doors, Periods(RARELY, RARELY, RARELY, RARELY))

    def gather(self, tables: Collection[Table]) -> Snapshot:
        now = datetime.now(UTC)
        readings = tuple(Reading("gw", table, now, 1, 0.0) for table in tables)
        return Snapshot(now, (GATEWAY,), nat=(SWARM,), neighbors=(WHOSE,), readings=readings)

    def report(self, _result: Pass) -> None:
        assert self.wiring.postman is not None
        self.wiring.postman.nudge()
        with self.changed:
            self.passes += 1
            self.changed.notify_all()

    def wait_for(self, true: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(true, PATIENCE_S)

    def another_pass(self) -> None:
        """As after a reload: at once."""
        self.service.reload(self.setup())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, text in (("switchguard.yaml", POLICY), ("hosts.yaml", HOSTS), ("people.csv", PEOPLE)):
        (tmp_path / name).write_text(text)
    port = free_port()
    monkeypatch.setenv("SG_TEST_MAIL", f"mailto://127.0.0.1:{port}?from=noc@example.org")
    made = World(tmp_path, Mailbox(), port)
    yield made
    made.service.stop(PATIENCE_S)
    if made.wiring.postman is not None:
        made.wiring.postman.stop()
    made.wiring.ledger.close()


def test_a_pass_with_a_notify_rule_puts_the_mail_into_the_persons_mailbox(world: World) -> None:
    assert world.wiring.postman is not None
    with smtp(world.mail, world.port):
        world.service.start()
        world.wiring.postman.start()
        assert world.mail.wait_for(1)
        world.another_pass()
        assert world.wait_for(lambda: world.passes == 2)
    assert world.mail.subjects() == [("ada@example.org", "Su dispositivo en nuestra red")]
    assert "1.500 conexiones abiertas con otros 1.490 equipos" in " ".join(world.mail.texts()[0].split())


def test_while_a_server_hangs_passes_are_made_and_the_notice_waits(world: World) -> None:
    assert world.wiring.postman is not None
    world.mail.hold = True
    with smtp(world.mail, world.port):
        world.service.start()
        world.wiring.postman.start()
        assert world.mail.asked.wait(PATIENCE_S)
        world.another_pass()
        assert world.wait_for(lambda: world.passes == 2)
        assert not world.mail.release.is_set()
        (entry,) = world.wiring.outbox.entries()
    assert (entry.state, entry.tries) == ("waiting", 1)


def test_a_notice_is_in_the_ledger_with_its_verdict_whoever_sends_it_later(world: World) -> None:
    world.service.start()
    assert world.wait_for(lambda: world.passes == 1)
    (verdict,) = world.wiring.ledger.standing()
    (entry,) = world.wiring.outbox.entries()
    assert (entry.letter.facts.verdict, entry.letter.to.mail, entry.tries) == (verdict.id, "ada@example.org", 0)
