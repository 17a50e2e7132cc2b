"""A penalised client that moves is followed by what its switches tell of it, long before the next poll."""

from collections.abc import Iterator

import pytest
from desk import ON_SW1, ON_SW2, PATIENCE_S, Desk, Running

from switchguard.edge.ledger import Event
from switchguard.lab.control import Lab
from switchguard.lab.moves import TRAPS, traded

pytestmark = pytest.mark.lab
NEWS = f'traps: {{listen: "{TRAPS}", community: {{file: secrets/community}}}}\n'


@pytest.fixture
def service(lab: Lab, desk: Desk) -> Iterator[Running]:
    """It polls once an hour, and listens; somebody behind sw1 is blocked."""
    file = desk.site / "switchguard.yaml"
    polls = "poll: {nat_size: 1h, nat: 1h, tables: 1h, counters: 1h}"
    file.write_text(
        file.read_text().replace("poll: {nat_size: 2s, nat: 2s, tables: 5s, counters: 5s, nat_ceiling: 100%}", polls)
        + NEWS
    )
    assert polls in file.read_text()
    assert desk.types("block", "mac", desk.mac(ON_SW1), "--yes").status == 0
    assert held_on(desk) == {"sw1"}
    with desk.begins("run") as running:
        lab.wait_for(lambda: bool(desk.ledger.status()), "a first pass", PATIENCE_S)
        yield running


def held_on(desk: Desk) -> set[str]:
    return {held.slot.device for held in desk.ledger.held() if held.state == "verified"}


def verified(desk: Desk, device: str, lifted: bool) -> Event:
    """The last time that a device was seen to have the block, or to have it no more."""
    events = [event for event in desk.ledger.history(desk.mac(ON_SW1)) if event.what == "verified"]
    changes = [(event, event.detail["change"]) for event in events]
    found = [event for event, it in changes if it["slot"]["device"] == device and (it["after"] is None) is lifted]
    return max(found, key=lambda event: event.at)


def test_a_block_follows_its_client_to_another_switch(lab: Lab, desk: Desk, service: Running) -> None:
    with traded(lab, ON_SW1, ON_SW2):
        lab.wait_for(lambda: held_on(desk) == {"sw2"}, "the block at the new place only", PATIENCE_S)
        assert desk.offline() == {ON_SW1}
        lab.wait_for(lambda: bool(service.tells("looked because of a hint")), "word of it", PATIENCE_S)
        assert verified(desk, "sw2", lifted=False).at <= verified(desk, "sw1", lifted=True).at
        assert not [line for line in desk.running("sw1") if line.startswith("mac address-table static ")]


def test_a_client_that_nobody_minds_moves_unnoticed(lab: Lab, desk: Desk, service: Running) -> None:
    with traded(lab, "c06", "c14"):
        lab.wait_for(lambda: lab.client("c06").ping(lab.client("c06").gateway, 1).received == 1, "an answer")
        assert held_on(desk) == {"sw1"}
        assert desk.offline() == {ON_SW1}
    assert not [event for event in service.tells("verified") if event["device"] != "sw1"]
