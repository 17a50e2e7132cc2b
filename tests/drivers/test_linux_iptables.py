"""The driver for iptables and ipset where no recording reaches: who comes first, what is left over, what is refused."""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import cast

import pytest
from model_linux_iptables import Kernel, Legacy, Model

from switchguard import plugins
from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block, Penalty, RateLimit, RestrictPorts, SessionCap
from switchguard.edge.session_netmiko import has_shell
from switchguard.errors import DeviceError
from switchguard.ports import Enforces

DRIVER = cast(Enforces, plugins.driver("linux_iptables"))
BY_ADDRESS = Block("address")


def change(penalty: Penalty, address: str = "10.10.0.7") -> Change:
    if "/" in address:
        return Change(Slot("gw1", penalty.kind, network=ip_network(address)), None, penalty)
    return Change(Slot("gw1", penalty.kind, address=ip_address(address)), None, penalty)


def wanted(changes: Sequence[Change]) -> dict[Slot, Penalty]:
    return {it.slot: it.after for it in changes if it.after is not None}


def test_it_is_reached_by_a_shell() -> None:
    assert has_shell("linux_iptables")


@pytest.fixture(params=[Model, Kernel, Legacy])
def gateway(request: pytest.FixtureRequest) -> Iterator[Model]:
    made = request.param()
    yield made
    made.close()


def come_first(gateway: Model) -> None:
    """What Docker does: a rule before all others."""
    if isinstance(gateway, Kernel):
        text = "*filter\n-I FORWARD 1 -i wan0 -j ACCEPT\nCOMMIT\n"
        gateway.feed("iptables-restore --noflush", text)
    else:
        gateway.hooks[4, "filter"].insert(0, "-i wan0 -j ACCEPT")


def test_a_rule_before_ours_means_that_nothing_is_in_force_until_the_next_push(gateway: Model) -> None:
    cap = change(SessionCap(100))
    DRIVER.push(gateway, [cap])
    come_first(gateway)
    assert DRIVER.enforced(gateway) == {}
    assert DRIVER.push(gateway, [cap]).text == "+ ipset sg_cap_100_ip4 10.10.0.7\n"
    assert DRIVER.enforced(gateway) == {cap.slot: SessionCap(100)}


def test_what_was_not_in_force_does_not_come_into_force_by_the_way(gateway: Model) -> None:
    """Its penalty may have ended meanwhile: nobody would take it away again."""
    DRIVER.push(gateway, [change(SessionCap(100))])
    come_first(gateway)
    DRIVER.push(gateway, [change(SessionCap(50), "10.10.0.8")])
    assert list(DRIVER.enforced(gateway).values()) == [SessionCap(50)]


def come_first_in_raw_of_ipv6(gateway: Model) -> None:
    if isinstance(gateway, Kernel):
        gateway.feed("ip6tables-restore --noflush", "*raw\n-I PREROUTING 1 -i wan0 -j ACCEPT\nCOMMIT\n")
    else:
        gateway.hooks[6, "raw"].insert(0, "-i wan0 -j ACCEPT")


@pytest.mark.parametrize("disturb", [come_first, come_first_in_raw_of_ipv6], ids=["FORWARD", "PREROUTING of IPv6"])
def test_half_a_block_is_told_and_can_be_made_whole_or_taken_away(
    gateway: Model, disturb: Callable[[Model], None]
) -> None:
    """What is left of it still stops the client: a release may not be taken for done."""
    blocks = [change(BY_ADDRESS), Change(Slot("gw1", "block", Station(mac=Mac(2 << 40 | 7))), None, Block())]
    for again in (blocks, [it.inverse() for it in blocks]):
        DRIVER.push(gateway, blocks)
        disturb(gateway)
        halves = {slot: block for slot, block in DRIVER.enforced(gateway).items() if block != wanted(blocks)[slot]}
        assert len(halves) == 1
        DRIVER.push(gateway, again)
        assert dict(DRIVER.enforced(gateway)) == wanted(again)
    assert not DRIVER.push(gateway, [it.inverse() for it in blocks]).text


def test_a_higher_cap_replaces_the_lower_one(gateway: Model) -> None:
    DRIVER.push(gateway, [change(SessionCap(50))])
    diff = DRIVER.push(gateway, [change(SessionCap(100))])
    assert diff.text == "- ipset sg_cap_50_ip4 10.10.0.7\n+ ipset sg_cap_100_ip4 10.10.0.7\n"
    assert list(DRIVER.enforced(gateway).values()) == [SessionCap(100)]


def test_rules_that_stand_are_not_written_again() -> None:
    """Each time, the kernel would begin to count sessions anew."""
    gateway = Counting()
    DRIVER.push(gateway, [change(SessionCap(100))])
    DRIVER.push(gateway, [change(SessionCap(100), "10.10.0.8")])
    assert gateway.fed == ["ipset restore -exist", "iptables-restore --noflush", "ipset restore -exist"]


class Counting(Model):
    def __init__(self) -> None:
        super().__init__()
        self.fed: list[str] = []

    def feed(self, command: str, text: str) -> str:
        self.fed.append(command)
        return super().feed(command, text)


@pytest.mark.parametrize(
    "penalty",
    [RateLimit(100), RateLimit(10**10), SessionCap(-1), RestrictPorts(65536), RateLimit(1_234_567_890, 1_234_567_891)],
    ids=["slow", "fast", "negative", "port", "a name that is too long"],
)
def test_values_that_no_set_can_express_are_refused(penalty: Penalty) -> None:
    with pytest.raises(DeviceError, match="cannot be put"):
        DRIVER.render([change(penalty)])


@pytest.mark.parametrize(
    "slot",
    [
        Slot("gw1", "block"),
        Slot("gw1", "block", Station(mac=Mac.parse("01:00:5e:00:00:01"))),
        Slot("gw1", "cap", network=ip_network("10.10.0.0/24")),
        Slot("gw1", "block", network=ip_network("0.0.0.0/0")),
    ],
    ids=["nobody", "multicast", "a cap on a subnet", "everybody"],
)
def test_whom_no_set_can_hold_is_refused(slot: Slot) -> None:
    penalty = SessionCap(100) if slot.kind == "cap" else BY_ADDRESS if slot.network else Block()
    with pytest.raises(DeviceError, match="cannot be put"):
        DRIVER.render([Change(slot, None, penalty)])


def test_rendering_tells_both_families_rules_of_a_mac() -> None:
    lines = DRIVER.render([Change(Slot("gw1", "block", Station(mac=Mac(2 << 40 | 7))), None, Block())])
    assert lines.count("-A switchguard -m mac --mac-source 02:00:00:00:00:07 -j DROP") == 2
    assert DRIVER.render([]) == ()
