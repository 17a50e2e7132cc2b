"""What may be written about penalties, what it means, and what is told about a mistake."""

from datetime import time, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from switchguard.core.penalties import Block, Notify, Penalty, Quarantine, RateLimit, RestrictPorts, SessionCap
from switchguard.core.policy import Box, Policy, Probation, Sentence, Zone
from switchguard.edge.settings import load_site
from switchguard.errors import SiteError

HOUR = timedelta(hours=1)
SITE = """\
link: {{device: gw1, interface: wan0, capacity: 200Mbps}}
time_zone: Europe/Berlin
{more}
rules:
  swarm:
    kind: naughty_factor
    above: 0.8
    penalty: {penalty}
"""
HOSTS = "gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n"


def policy(directory: Path, penalty: str = "{block: mac}", more: str = "", text: str = SITE) -> Policy:
    (directory / "switchguard.yaml").write_text(text.format(penalty=penalty, more=more))
    (directory / "hosts.yaml").write_text(HOSTS)
    return load_site(directory).policy


def sentence(directory: Path, penalty: str) -> Sentence:
    return policy(directory, penalty).rules[0].sentence


def complaint(directory: Path, penalty: str = "{block: mac}", more: str = "", text: str = SITE) -> str:
    with pytest.raises(SiteError) as caught:
        policy(directory, penalty, more, text)
    return str(caught.value).replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("written", "penalty"),
    [
        ("notify", Notify()),
        ("{notify: true}", Notify()),
        ("{cap: 100}", SessionCap(100)),
        ("{limit: 64kbps}", RateLimit(64_000)),
        ("{ports: 1024}", RestrictPorts(1024)),
        ("{quarantine: 99}", Quarantine(99)),
        ("{block: mac}", Block()),
        ("{block: address}", Block("address")),
    ],
)
def test_every_kind_of_penalty_can_be_written(tmp_path: Path, written: str, penalty: Penalty) -> None:
    assert sentence(tmp_path, written) == Sentence(penalty)


def test_a_list_is_a_ladder(tmp_path: Path) -> None:
    written = "[notify, {cap: 100, lasts: 1h}, {block: mac, lasts: 2h, escalate: 2x, at_most: 2d}]"
    last = Sentence(Block(), 2 * HOUR, 2.0, timedelta(days=2))
    assert sentence(tmp_path, written) == Sentence(Notify(), then=(Sentence(SessionCap(100), HOUR), last))


@pytest.mark.parametrize(
    ("until", "expected"),
    [('"00:00"', Sentence(RateLimit(64_000), until=time(0))), ("release", Sentence(RateLimit(64_000), lasts=None))],
)
def test_an_end_can_be_a_time_of_the_day_or_a_person(tmp_path: Path, until: str, expected: Sentence) -> None:
    assert sentence(tmp_path, f"{{limit: 64kbps, until: {until}}}") == expected


def test_probation_is_a_penalty_with_a_term(tmp_path: Path) -> None:
    told = sentence(tmp_path, "{block: mac, probation: {limit: 1Mbps, lasts: 1h}}")
    assert told.probation == Probation(RateLimit(1_000_000), HOUR)


def test_a_zone_has_a_ladder_of_its_own(tmp_path: Path) -> None:
    zones = "zones: {vpn: {networks: [10.99.0.0/16], ladder: [notify, {cap: 100}]}}"
    (zone,) = policy(tmp_path, more=zones).zones
    assert zone == Zone("vpn", (ip_network("10.99.0.0/16"),), ladder=(Notify(), SessionCap(100)))


def test_the_box_is_a_share_of_the_link_in_whole_kilobits(tmp_path: Path) -> None:
    assert policy(tmp_path, more='box: {share_of_link: 10%, empty_at: "04:00"}').box == Box(20_000_000, time(4))
    assert policy(tmp_path, more="box: {share_of_link: 0.333333%}").box == Box(666_000)
    assert policy(tmp_path).box is None


@pytest.mark.parametrize(
    ("penalty", "why"),
    [
        ("{lasts: 2h}", "penalty: a penalty is exactly one of notify, cap, limit, ports, quarantine, block"),
        ("{block: mac, cap: 5}", "penalty: a penalty is exactly one of"),
        ("[]", "penalty: a ladder has at least one step"),
        ("[notify, {cap: 0}]", "penalty.1.cap: input should be greater than 0"),
        ("[notify, {capp: 5}]", "unknown key 'rules.swarm.penalty.1.capp'; did you mean 'cap'?"),
        ("warn", "not 'warn'; known are: at_most, block, cap"),
        ("{quarantine: 4095}", "penalty.quarantine: input should be less than or equal to 4094"),
        ("{limit: 64kbps, until: midnight}", "penalty.until: 'midnight' is not a time of day"),
        ('{limit: 64kbps, until: "00:00", lasts: 2d}', "penalty: until says when it ends; lasts would say it again"),
        ("[{cap: 5}, {block: mac, forget_after: 1d}]", "forget_after belongs into the first step"),
        ("[{cap: 5, escalate: 2x}, {block: mac}]", "escalate belongs into the last step"),
        ("{block: mac, probation: {lasts: 1h}}", "penalty.probation: a penalty is exactly one of"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, penalty: str, why: str) -> None:
    told = complaint(tmp_path, penalty)
    assert why in told
    assert told.startswith("switchguard.yaml:")


def test_a_box_without_a_link_is_a_share_of_nothing(tmp_path: Path) -> None:
    without = SITE.split("\n", 1)[1]
    told = complaint(tmp_path, more="box: {share_of_link: 10%}", text=without)
    assert told == "switchguard.yaml:2: box: a share of which link? The site has no 'link'"


def test_a_zones_ladder_says_no_terms(tmp_path: Path) -> None:
    told = complaint(tmp_path, more="zones: {vpn: {networks: [10.99.0.0/16], ladder: [{cap: 100, lasts: 1h}]}}")
    assert "unknown key 'zones.vpn.ladder.0.lasts'" in told
