"""What a configuration does on the wire, by each vendor's meaning of it."""

from frontends_harness import CLIENT, OWN, RecordingPlane

from switchguard.lab.frontends.config import load
from switchguard.lab.frontends.derive import derive_eos, derive_ios
from switchguard.lab.frontends.grammar_eos import eos_grammar
from switchguard.lab.frontends.grammar_ios import ios_grammar
from switchguard.lab.plane import PlaneState

BLOCK = "mac address-table static 0200.0000.0007 vlan 10 drop"
DENY = "10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any"
PERMIT_ALL = "1000 permit any any"


def ios(*lines: str) -> PlaneState:
    ports = RecordingPlane("Gi0_").ports()
    tree, refused = load(ios_grammar(ports, {OWN}), {}, lines)
    assert refused == []
    return derive_ios(tree, ports)


def eos(*lines: str) -> PlaneState:
    ports = RecordingPlane("Et").ports()
    tree, refused = load(eos_grammar(ports), {}, lines)
    assert refused == []
    return derive_eos(tree, ports)


def eos_list(*entries: str) -> PlaneState:
    return eos("mac access-list SG", *entries, "exit", "interface Ethernet1", "mac access-group SG in")


def test_ios_drops_both_ways() -> None:
    assert ios(BLOCK) == PlaneState(drops=frozenset({(CLIENT, 10)}))


def test_eos_drops_only_what_goes_to_the_station() -> None:
    assert eos(BLOCK) == PlaneState(drops_to=frozenset({(CLIENT, 10)}))


def test_a_static_entry_on_a_port_drops_nothing() -> None:
    assert ios(BLOCK.replace("drop", "interface GigabitEthernet0/1")) == PlaneState()


def test_a_shut_port_is_down() -> None:
    assert ios("interface GigabitEthernet0/2", "shutdown") == PlaneState(down=frozenset({"Gi0_2"}))


def test_an_eos_list_stops_what_the_station_sends() -> None:
    assert eos_list(DENY, PERMIT_ALL) == PlaneState(denied=frozenset({("Et1", CLIENT)}))


def test_a_list_without_a_permit_cuts_everybody_off() -> None:
    assert eos_list(DENY).down == {"Et1"}


def test_what_is_permitted_first_is_not_denied_later() -> None:
    assert eos_list("5 permit any any", DENY) == PlaneState()


def test_an_empty_or_missing_list_lets_everything_in() -> None:
    assert eos_list() == PlaneState()
    assert eos("interface Ethernet1", "mac access-group NONE in") == PlaneState()


def test_an_ios_mac_list_does_not_see_ip() -> None:
    lines = ("mac access-list extended SG", "deny host 0200.0000.0007 any", "interface GigabitEthernet0/1")
    assert ios(*lines, "mac access-group SG in") == PlaneState()


def test_a_policer_limits_what_enters() -> None:
    policy = ("policy-map SLOW", "class class-default", "police cir 64000 bc 8000", "interface GigabitEthernet0/1")
    assert ios(*policy, "service-policy input SLOW") == PlaneState(rates={"Gi0_1": 64_000})


def test_a_policy_that_nobody_attached_limits_nothing() -> None:
    assert ios("policy-map SLOW", "class class-default", "police 64000 8000") == PlaneState()


def test_eos_rates_have_units() -> None:
    policy = ("policy-map type quality-of-service SLOW", "class class-default")
    police = "police rate 2 mbps burst-size 256 kbytes"
    attached = ("interface Ethernet1", "service-policy type qos input SLOW", "shape rate 512 kbps")
    assert eos(*policy, police, *attached) == PlaneState(rates={"Et1": 2_000_000}, shapes={"Et1": 512_000})
