"""The configuration engine and both grammars, without any server."""

from collections.abc import Iterable

import pytest
from frontends_harness import OWN, RecordingPlane
from hypothesis import given
from hypothesis import strategies as st

from switchguard.lab.frontends.config import (
    Complaint,
    Edit,
    Grammar,
    Objection,
    Place,
    SyntaxComplaint,
    Tree,
    differences,
    enter,
    incremental,
    load,
    render,
    unified,
)
from switchguard.lab.frontends.grammar_eos import eos_grammar
from switchguard.lab.frontends.grammar_ios import CPU_ADDRESS, ONLY_UNICAST, ios_grammar
from switchguard.lab.frontends.switch import initial

IOS = ios_grammar(RecordingPlane("Gi0_").ports(), {OWN})
EOS = eos_grammar(RecordingPlane("Et").ports())
BLOCK = "mac address-table static 0200.0000.0007 vlan 10 drop"


def typed(grammar: Grammar, *lines: str, start: Tree | None = None) -> Tree:
    tree, refused = load(grammar, start or {}, lines)
    assert refused == []
    return tree


def complaint(grammar: Grammar, line: str, *before: str) -> Complaint:
    answer = enter(grammar, Place(typed(grammar, *before)), line)
    assert not isinstance(answer, Place)
    return answer


def shown(grammar: Grammar, tree: Tree) -> list[str]:
    return [line for line in render(grammar, tree, 1) if line != "!"]


def test_an_unknown_word_is_marked() -> None:
    assert complaint(IOS, "mac address-table foo") == SyntaxComplaint("invalid", 2, 18, "mac address-table foo")


def test_half_a_line_is_incomplete() -> None:
    line = "mac address-table static 0200.0000.0007 vlan"
    assert complaint(IOS, line) == SyntaxComplaint("incomplete", 5, len(line), line)


def test_an_abbreviation_that_fits_two_commands_is_ambiguous() -> None:
    assert complaint(IOS, "mac a") == SyntaxComplaint("ambiguous", 1, 4, "mac a")


def test_ios_takes_abbreviations_and_shows_the_whole_word() -> None:
    tree = typed(IOS, "int gi0/1", "sw acc vl 20", "shut")
    assert shown(IOS, tree) == ["interface GigabitEthernet0/1", " switchport access vlan 20", " shutdown"]


def test_eapi_takes_no_abbreviations() -> None:
    assert complaint(EOS, "int Ethernet1") == SyntaxComplaint("invalid", 0, 0, "int Ethernet1")


@pytest.mark.parametrize("line", ["interface GigabitEthernet0/9", "interface GigabitEthernet0/", "interface"])
def test_a_port_that_the_switch_does_not_have_is_refused(line: str) -> None:
    assert isinstance(complaint(IOS, line), SyntaxComplaint)


@pytest.mark.parametrize("spelt", ["interface Ethernet1", "interface Ethernet 1", "interface et1"])
def test_a_port_has_several_spellings(spelt: str) -> None:
    assert shown(EOS, typed(EOS, spelt)) == ["interface Ethernet1"]


def test_a_mac_is_shown_in_lower_case_with_dots() -> None:
    assert shown(IOS, typed(IOS, "mac address-table static 02AA.BBCC.DD07 vlan 10 drop")) == [
        "mac address-table static 02aa.bbcc.dd07 vlan 10 drop"
    ]


def test_entering_a_line_again_changes_nothing() -> None:
    once = typed(IOS, BLOCK)
    assert typed(IOS, BLOCK, start=once) == once


@pytest.mark.parametrize("grammar", [IOS, EOS])
def test_the_last_of_drop_and_interface_wins(grammar: Grammar) -> None:
    port = "GigabitEthernet0/1" if grammar is IOS else "Ethernet1"
    elsewhere = f"mac address-table static 0200.0000.0007 vlan 10 interface {port}"
    assert shown(grammar, typed(grammar, BLOCK, elsewhere)) == [elsewhere]
    assert shown(grammar, typed(grammar, elsewhere, BLOCK)) == [BLOCK]


def test_ios_takes_a_drop_back_without_the_word_drop() -> None:
    assert typed(IOS, BLOCK, "no mac address-table static 0200.0000.0007 vlan 10") == {}
    assert complaint(IOS, f"no {BLOCK}", BLOCK) == SyntaxComplaint("invalid", 7, 51, f"no {BLOCK}")


def test_eos_takes_a_drop_back_either_way() -> None:
    assert typed(EOS, BLOCK, "no mac address-table static 0200.0000.0007 vlan 10") == {}
    assert typed(EOS, BLOCK, f"no {BLOCK}") == {}


def test_no_with_another_value_leaves_the_line_alone() -> None:
    elsewhere = "mac address-table static 0200.0000.0007 vlan 10 interface Ethernet1"
    assert shown(EOS, typed(EOS, BLOCK, f"no {elsewhere}")) == [BLOCK]


def test_the_same_mac_in_two_vlans_is_two_lines() -> None:
    other = BLOCK.replace("vlan 10", "vlan 20")
    assert shown(IOS, typed(IOS, other, BLOCK)) == [BLOCK, other]


def test_only_unicast_addresses_are_dropped() -> None:
    assert complaint(IOS, "mac address-table static 0100.5e00.0001 vlan 10 drop") == Objection(ONLY_UNICAST)


def test_the_switch_does_not_drop_itself() -> None:
    assert complaint(IOS, f"mac address-table static {OWN.dotted()} vlan 10 drop") == Objection(CPU_ADDRESS)


@pytest.mark.parametrize(
    ("grammar", "line", "why"),
    [
        (IOS, "service-policy input SLOW", "% policy map SLOW not configured"),
        (EOS, "service-policy type qos input SLOW", "Policy map SLOW is not configured"),
    ],
)
def test_an_unknown_policy_cannot_be_attached(grammar: Grammar, line: str, why: str) -> None:
    port = "interface GigabitEthernet0/1" if grammar is IOS else "interface Ethernet1"
    _, refused = load(grammar, {}, [port, line])
    assert refused == [(line, Objection(why))]


POLICED = ("policy-map SLOW", " class class-default", "  police 64000 8000 exceed-action drop")


def test_a_policy_in_use_is_not_deleted() -> None:
    before = (*POLICED, "interface GigabitEthernet0/1", " service-policy input SLOW")
    assert isinstance(complaint(IOS, "no policy-map SLOW", *before), Objection)


def test_a_class_map_in_use_is_not_deleted() -> None:
    before = ("class-map match-any ONE", "policy-map SLOW", " class ONE")
    answer = complaint(IOS, "no class-map match-any ONE", *before)
    assert isinstance(answer, Objection)
    assert "policy-map SLOW" in answer.message
    assert shown(IOS, typed(IOS, *before, " no class ONE", "no class-map match-any ONE")) == ["policy-map SLOW"]


def test_ios_shows_ipv6_addresses_in_capitals() -> None:
    tree = typed(IOS, "ipv6 access-list ONE", "permit ipv6 host 2001:db8:0::7 any")
    assert shown(IOS, tree) == ["ipv6 access-list ONE", " permit ipv6 host 2001:DB8::7 any"]


def test_on_ios_a_later_cap_takes_the_place_of_an_earlier_one() -> None:
    lines = [f"ip nat translation max-entries {words}" for words in ("host 10.10.0.7 200", "all-host 500", "60000")]
    tree = typed(IOS, *lines, "ip nat translation max-entries host 10.10.0.7 100")
    assert set(shown(IOS, tree)) == {lines[0].replace("200", "100"), *lines[1:]}


def test_on_eos_two_caps_of_one_address_both_stand() -> None:
    lines = [f"ip nat translation max-entries {words}" for words in ("100 10.10.0.7", "200 10.10.0.7", "500 host")]
    assert shown(EOS, typed(EOS, *lines)) == lines
    assert shown(EOS, typed(EOS, *lines, f"no {lines[0]}")) == lines[1:]


@pytest.mark.parametrize(
    "police",
    [
        "police 64000 8000",
        "police 64000 8000 exceed-action drop",
        "police cir 64000 bc 8000 conform-action transmit exceed-action drop",
        "police cir 64000",
    ],
)
def test_catalysts_and_routers_write_policers_in_their_own_ways(police: str) -> None:
    tree = typed(IOS, "policy-map SLOW", "class class-default", police)
    assert shown(IOS, tree)[-1].strip() == police


@pytest.mark.parametrize("police", ["police 1 8000", "police cir 64000 exceed-action drop", "police 64000 8000 drop"])
def test_a_policer_that_no_reference_has_is_refused(police: str) -> None:
    assert len(load(IOS, {}, ["policy-map SLOW", "class class-default", police])[1]) == 1


def test_a_new_policer_replaces_the_old_one() -> None:
    tree = typed(IOS, *POLICED, "policy-map SLOW", "class class-default", "police cir 128000")
    assert shown(IOS, tree) == ["policy-map SLOW", " class class-default", "  police cir 128000"]


def test_a_class_needs_its_class_map() -> None:
    _, refused = load(IOS, {}, ["policy-map SLOW", "class VOICE"])
    assert refused == [("class VOICE", Objection("% class map VOICE not configured"))]
    typed(IOS, "class-map match-any VOICE", "match any", "policy-map SLOW", "class VOICE")


def test_a_line_that_the_section_does_not_know_belongs_to_the_one_around_it() -> None:
    tree = typed(IOS, *POLICED, BLOCK)
    assert BLOCK in shown(IOS, tree)


def test_a_short_form_is_shown_in_full() -> None:
    tree = typed(EOS, "policy-map SLOW", "interface Ethernet1", "service-policy input SLOW")
    assert shown(EOS, tree) == [
        "policy-map type quality-of-service SLOW",
        "interface Ethernet1",
        " service-policy type qos input SLOW",
    ]


def test_eos_numbers_the_entries_of_a_list() -> None:
    lines = ("mac access-list SG", "deny 02:00:00:00:00:07 00:00:00:00:00:00 any", "1000 permit any any", "no 10")
    assert shown(EOS, typed(EOS, *lines[:3])) == [
        "mac access-list SG",
        " 10 deny 02:00:00:00:00:07 00:00:00:00:00:00 any",
        " 1000 permit any any",
    ]
    assert shown(EOS, typed(EOS, *lines)) == ["mac access-list SG", " 1000 permit any any"]


def test_eos_lists_have_no_keyword_host() -> None:
    _, refused = load(EOS, {}, ["mac access-list SG", "10 deny host 0200.0000.0007 any"])
    assert len(refused) == 1


@pytest.mark.parametrize("grammar", [IOS, EOS])
def test_what_is_shown_can_be_typed(grammar: Grammar) -> None:
    ports = RecordingPlane("Gi0_" if grammar is IOS else "Et").ports()
    tree = typed(grammar, *initial("sw1", ports), BLOCK)
    assert typed(grammar, *render(grammar, tree, 3)) == tree


VALID = st.sampled_from(
    [
        BLOCK,
        "no mac address-table static 0200.0000.0007 vlan 10",
        "interface GigabitEthernet0/1",
        "shutdown",
        "no shutdown",
        "description some words",
        *POLICED,
        "no policy-map SLOW",
        "exit",
        "hostname other",
    ]
)


@given(st.lists(VALID | st.text(max_size=40), max_size=12))
def test_whatever_is_typed_the_result_can_be_typed_again(lines: list[str]) -> None:
    tree, _ = load(IOS, {}, lines)
    assert render(IOS, typed(IOS, *render(IOS, tree, 1)), 1) == render(IOS, tree, 1)


# --- diffs -----------------------------------------------------------------------------------------------------------


def added(lines: Iterable[str]) -> list[str]:
    return incremental(IOS, typed(IOS, "interface GigabitEthernet0/1", "shutdown", BLOCK), lines)


def test_an_incremental_diff_has_only_what_is_new() -> None:
    assert added([BLOCK.upper(), "interface GigabitEthernet0/1", " description x", " shutdown", "end"]) == [
        "interface GigabitEthernet0/1",
        " description x",
    ]


def test_an_incremental_diff_always_has_the_no_lines() -> None:
    assert added(["no mac address-table static 0200.0000.0099 vlan 10"]) == [
        "no mac address-table static 0200.0000.0099 vlan 10"
    ]


def test_an_incremental_diff_has_lines_that_will_be_refused() -> None:
    assert added(["mac address-table foo"]) == ["mac address-table foo"]


def test_sections_left_and_entered_again_keep_their_heads() -> None:
    lines = ["interface GigabitEthernet0/1", " description x", " exit", "interface GigabitEthernet0/2", " shutdown"]
    assert added(lines) == [line for line in lines if line != " exit"]


def test_differences_show_the_section_of_a_line() -> None:
    before = typed(IOS, "interface GigabitEthernet0/1", "shutdown")
    after = typed(IOS, "interface GigabitEthernet0/1", "description x", BLOCK)
    assert differences(IOS, before, after) == [
        Edit(" ", 0, "interface GigabitEthernet0/1"),
        Edit("+", 1, "description x"),
        Edit("-", 1, "shutdown"),
        Edit("+", 0, BLOCK),
    ]


def test_a_unified_diff_names_both_sides() -> None:
    assert unified(["a"], ["a", "b"], "old", "new") == ["--- old", "+++ new", "@@ -1 +1,2 @@", " a", "+b"]
