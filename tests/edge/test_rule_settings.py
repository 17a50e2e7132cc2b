"""Every kind of rule, as it is written in switchguard.yaml, and everything that may be wrong with it."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from switchguard.core.model import Mac
from switchguard.core.penalties import Block, Notify
from switchguard.core.policy import Rule, RuleParams
from switchguard.core.rules import (
    KINDS,
    connections,
    nat_pressure,
    new_device,
    quota,
    registered_only,
    share_of_link,
    unusual_traffic,
)
from switchguard.core.rules.new_device import Tier
from switchguard.edge.reference import settings_reference
from switchguard.edge.settings import load_site, machine_zone
from switchguard.errors import SiteError

BERLIN = ZoneInfo("Europe/Berlin")
LIMIT = "penalty: {limit: 64kbps}"
HEAD = """\
time_zone: Europe/Berlin
link: {device: gw1, interface: wan0, capacity: 200Mbps, capacity_out: 20Mbps}
registry: {file: people.csv}
logs: {netperf: {file: kern.log, match: Incoming netperf}}
zones:
  guests: {networks: [10.20.0.0/16, "2001:db8:20::/48"]}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yaml").write_text("gw1: {platform: linux, data: {switchguard: {role: gateway}}}\n")
    (tmp_path / "people.csv").write_text("mac,person\n02:00:00:00:00:07,ann\n")
    return tmp_path


def rule(site: Path, text: str, head: str = HEAD) -> Rule:
    """The rule that is written like this in line 8."""
    (site / "switchguard.yaml").write_text(f"{head}rules:\n  mine: {{{text}}}\n")
    (made,) = load_site(site).policy.rules
    return made


def complaint(site: Path, text: str, head: str = HEAD) -> str:
    with pytest.raises(SiteError) as caught:
        rule(site, text, head)
    return str(caught.value).replace(f"{site}/", "")


# --- what can be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "above", "params"),
    [
        (f"kind: naughty_factor, above: 0.8, {LIMIT}", 0.8, None),
        (f"kind: everyone, {LIMIT}", 0.0, None),
        ("kind: nat_pressure", 0.8, nat_pressure.Params()),
        (
            "kind: nat_pressure, above: 90%, full_within: 5m, blame_above: 0.7, penalty: {cap: 100}",
            0.9,
            nat_pressure.Params(full_within=timedelta(minutes=5), blame_above=0.7),
        ),
        (f"kind: share_of_link, {LIMIT}", 0.12, share_of_link.Params()),
        (
            f"kind: share_of_link, above: 15%, below: 4%, only_while_link_above: 90%, direction: in, {LIMIT}",
            0.15,
            share_of_link.Params(below=0.04, only_while_link_above=0.9, direction="in"),
        ),
        (f"kind: quota, bytes: 1GB, {LIMIT}", 1e9, quota.Params(time_zone=BERLIN)),
        (
            f'kind: quota, bytes: 10GiB, per: week, starts: "06:00", week_starts: sunday, time_zone: UTC, '
            f"for_each: person, direction: in, {LIMIT}",
            10 * 2**30,
            quota.Params(
                "week",
                direction="in",
                starts=time(6),
                week_starts="sunday",
                for_each="person",
                time_zone=ZoneInfo("UTC"),
            ),
        ),
        (
            f"kind: connections, log: netperf, above: 500, burst: 300, breaks: 6h, subnets: apply, {LIMIT}",
            500,
            connections.Params("netperf", burst=300, breaks=timedelta(hours=6), subnets="apply"),
        ),
        (
            "kind: new_device, tiers: [{limit: 1Mbps, lasts: 1h}, {cap: 100}], known_before: 2026-12-01T08:00Z",
            0,
            new_device.Params(
                (Tier(limit=1_000_000, lasts=timedelta(hours=1)), Tier(cap=100)),
                known_before=datetime(2026, 12, 1, 8, tzinfo=UTC),
            ),
        ),
        ("kind: new_device", 0, new_device.Params()),
        (f"kind: registered_only, grace: 1h, {LIMIT}", 0, registered_only.Params(timedelta(hours=1))),
        (
            "kind: unusual_traffic, at_least: 5Mbps, drops_too: false",
            6,
            unusual_traffic.Params(at_least=5_000_000, drops_too=False, time_zone=BERLIN),
        ),
    ],
)
def test_a_rule_becomes_a_value_of_the_core(site: Path, text: str, above: float, params: RuleParams | None) -> None:
    made = rule(site, text)
    assert (made.name, made.above, made.params) == ("mine", above, params)


@pytest.mark.parametrize("how", ["log: netperf, subnets: suggest", "log: nat, subnets: apply"])
def test_where_no_subnet_is_penalised_a_rule_may_go_by_the_mac(site: Path, how: str) -> None:
    assert rule(site, f"kind: connections, {how}, penalty: {{block: mac}}").sentence.penalty == Block("mac")


@pytest.mark.parametrize(("kind", "polls"), [("naughty_factor, above: 0.8", 3), ("quota, bytes: 1GB", 1)])
def test_each_kind_has_its_own_patience(site: Path, kind: str, polls: int) -> None:
    assert rule(site, f"kind: {kind}, {LIMIT}").for_polls == polls
    assert rule(site, f"kind: {kind}, for_polls: 7, {LIMIT}").for_polls == 7


@pytest.mark.parametrize("kind", ["nat_pressure", "unusual_traffic"])
def test_an_alarm_needs_no_penalty(site: Path, kind: str) -> None:
    assert rule(site, f"kind: {kind}").sentence.penalty == Notify()


def test_a_rule_may_be_for_some_zones_and_networks_only(site: Path) -> None:
    made = rule(site, f"kind: quota, bytes: 1GB, zones: [guests], networks: [10.30.0.0/24], {LIMIT}")
    assert made.networks == tuple(map(ip_network, ("10.20.0.0/16", "2001:db8:20::/48", "10.30.0.0/24")))
    assert rule(site, f"kind: quota, bytes: 1GB, {LIMIT}").networks == ()


def test_the_policy_knows_link_registry_and_clock(site: Path) -> None:
    (site / "switchguard.yaml").write_text(HEAD)
    policy = load_site(site).policy
    assert policy.link is not None
    assert (policy.link.capacity_in_bps, policy.link.capacity_out_bps) == (200_000_000, 20_000_000)
    assert policy.registry == {Mac.parse("02:00:00:00:00:07"): "ann"}
    assert policy.zone == BERLIN


def test_without_a_time_zone_it_is_the_machines(site: Path) -> None:
    params = rule(site, f"kind: quota, bytes: 1GB, {LIMIT}", head="").params
    assert params == quota.Params(time_zone=machine_zone())


@pytest.mark.parametrize(
    ("target", "zone"),
    [("/usr/share/zoneinfo/Europe/Berlin", BERLIN), ("/usr/share/zoneinfo/Nowhere", UTC), ("/etc/some-file", UTC)],
)
def test_the_machines_time_zone_is_where_its_link_leads(tmp_path: Path, target: str, zone: tzinfo) -> None:
    (tmp_path / "localtime").symlink_to(target)
    assert machine_zone(tmp_path / "localtime", {}) == zone
    assert machine_zone(tmp_path / "localtime", {"TZ": ":Asia/Tokyo"}) == ZoneInfo("Asia/Tokyo")


# --- what must not be said -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"kind: quota, bytes: IN50GB1M, {LIMIT}", "rules.mine.bytes: 'IN50GB1M' is not an amount of data; write an"),
        (f"kind: quota, bytes: 12, {LIMIT}", "rules.mine.bytes: '12' has no unit; write an amount of data like 500MB"),
        (f"kind: quota, bytes: -1GB, {LIMIT}", "rules.mine.bytes: '-1GB' is not an amount of data"),
        (f"kind: quota, bytes: 0GB, {LIMIT}", "rules.mine.bytes: '0GB' is nothing"),
        (f"kind: quota, {LIMIT}", "'rules.mine.bytes' is missing"),
        (f"kind: quota, bytes: 1GB, dirction: in, {LIMIT}", "unknown key 'rules.mine.dirction'; did you mean 'directi"),
        (f"kind: quota, bytes: 1GB, per: year, {LIMIT}", "rules.mine.per: input should be 'hour', 'day', 'week' or"),
        (f"kind: quota, bytes: 1GB, starts: 6, {LIMIT}", "rules.mine.starts: '6' is not a time of day; write it like"),
        (f'kind: quota, bytes: 1GB, starts: "24:00", {LIMIT}', "rules.mine.starts: '24:00' is not a time of day"),
        (f"kind: quota, bytes: 1GB, month_starts: 31, {LIMIT}", "rules.mine.month_starts: input should be less than"),
        (
            f"kind: quota, bytes: 1GB, time_zone: Europe/Berln, {LIMIT}",
            "rules.mine.time_zone: no time zone called 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        (
            f"kind: quota, bytes: 1GB, time_zone: ../passwd, {LIMIT}",
            "rules.mine.time_zone: no time zone called '../passwd'",
        ),
        (f"kind: quota, bytes: 1GB, zones: [gests], {LIMIT}", "rule 'mine': no zone called 'gests'; did you mean 'gue"),
        ("kind: quota, bytes: 1GB", "'rules.mine.penalty' is missing"),
        (f"kind: share_of_link, above: 0.12, {LIMIT}", "rules.mine.above: '0.12' has no unit; write a share like 5%"),
        (f"kind: share_of_link, above: 120%, {LIMIT}", "rules.mine.above: '120%' is more than all of it"),
        (f"kind: share_of_link, above: 5%, below: 12%, {LIMIT}", "rules.mine: below is more than above"),
        (f"kind: naughty_factor, above: 80, {LIMIT}", "rules.mine.above: input should be less than or equal to 1"),
        (f"kind: naughty_factor, above: 0.8, bytes: 1GB, {LIMIT}", "unknown key 'rules.mine.bytes'; known are: above"),
        (
            f"kind: connections, window: 12h, {LIMIT}",
            "rules.mine: window is shorter than steady_for: nobody could ever",
        ),
        (
            "kind: connections, log: netperf, subnets: apply, penalty: {block: mac}",
            "rules.mine: with subnets: apply the penalty must be one for addresses, such as {block: address}",
        ),
        (
            "kind: connections, log: netperf, subnets: apply, penalty: [{limit: 1Mbps}, {quarantine: 9}]",
            "rules.mine: with subnets: apply the penalty must be one for addresses",
        ),
        (f"kind: connections, log: netpref, {LIMIT}", "rule 'mine': no log called 'netpref'; did you mean 'netperf'?"),
        (f"kind: connections, burst: 0, {LIMIT}", "rules.mine.burst: input should be greater than or equal to 1"),
        ("kind: everyone, penalty: {block: mac}", "rules.mine: a rule of kind everyone takes only cap or limit as its"),
        ("kind: unusual_traffic, penalty: {limit: 1Mbps}", "unknown key 'rules.mine.penalty'"),
        (f"kind: new_device, {LIMIT}", "unknown key 'rules.mine.penalty'"),
        ("kind: new_device, tiers: [{limit: 1Mbps, cap: 3}]", "rules.mine.tiers.0: a tier is exactly one of limit and"),
        ("kind: new_device, tiers: [{limt: 1Mbps}]", "unknown key 'rules.mine.tiers.0.limt'; did you mean 'limit'?"),
        (
            "kind: nat_pressure, trend_over: 5h",
            "rules.mine: trend_over is at most 1 h; so far back sizes are remembere",
        ),
        ("kind: new_device, tiers: []", "rules.mine: without tiers there is nothing to climb"),
        ("kind: swarm", "rules.mine: no kind of rule called 'swarm'"),
        ("above: 0.8", "'rules.mine.kind' is missing; known are: connections, copied_mac, everyone, nat_pressure"),
    ],
)
def test_a_mistake_is_told_with_its_line(site: Path, text: str, said: str) -> None:
    assert complaint(site, text).startswith(f"switchguard.yaml:8: {said}")


def test_a_rule_that_is_no_mapping_is_told(site: Path) -> None:
    (site / "switchguard.yaml").write_text("rules: {mine: 7}\n")
    with pytest.raises(SiteError, match=r"switchguard.yaml:1: rules.mine: .*not 7"):
        load_site(site)


def test_two_rules_with_one_name_are_refused(site: Path) -> None:
    (site / "switchguard.yaml").write_text("rules:\n  a: {kind: everyone}\n  a: {kind: everyone}\n")
    with pytest.raises(SiteError, match=r"switchguard.yaml:3: 'a' is here twice; the first time in line 2"):
        load_site(site)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (f"kind: share_of_link, {LIMIT}", "link"),
        (f"kind: registered_only, {LIMIT}", "registry"),
        (f"kind: quota, bytes: 1GB, for_each: person, {LIMIT}", "registry"),
    ],
)
def test_a_rule_that_could_never_find_anybody_is_refused(site: Path, text: str, part: str) -> None:
    said = complaint(site, text, head="")
    assert said == f"switchguard.yaml:2: rule 'mine' would never find anybody: the site has no {part!r}"


def test_a_registry_that_is_not_there_is_told_where_it_is_named(site: Path) -> None:
    (site / "people.csv").unlink()
    assert complaint(site, "kind: new_device").startswith("switchguard.yaml:3: registry: there is no file people.csv")


def test_a_mistake_in_the_registry_is_told_there(site: Path) -> None:
    (site / "people.csv").write_text("mac,person\nprinter,ann\n")
    assert complaint(site, "kind: new_device").startswith("people.csv:2: 'printer' is not a MAC address")


# --- the reference ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_has_every_kind_with_all_its_keys(kind: str) -> None:
    text = settings_reference().partition(f"### kind: {kind}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    about = KINDS[kind].ABOUT
    names = set() if about.params is None else set(getattr(about.params, "__dataclass_fields__"))  # noqa: B009
    names |= set() if about.threshold is None else {about.threshold.name}
    assert names == {
        line.split("`")[1] for line in text.splitlines() if line.startswith("| `") and "[" not in line[:30]
    }


@pytest.mark.parametrize(
    "row",
    [
        "| `bytes` | required | amount of data: 500MB, 1GB, 1GiB | how much is allowed in a window |",
        "| `starts` | `00:00` | time of day: 00:00, 06:30 |",
        "| `time_zone` | – | time zone: Europe/Berlin, UTC |",
        "| `above` | `12%` | share: 5%, 12.5% |",
        "| `at_least` | `1Mbps` | rate: 64kbps, 20Mbps, 1Gbps |",
        "| `estimates` | `false` | `true` or `false` |",
        "| `tiers[].lasts` | `30m` | duration: 10s, 5m, 2h, 2d, 1w |",
        "| `window` | `2d` | duration: 10s, 5m, 2h, 2d, 1w |",
    ],
)
def test_the_reference_has_defaults_and_units(row: str) -> None:
    assert any(line.startswith(row) for line in settings_reference().splitlines())
