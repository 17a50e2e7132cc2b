"""What a site says about identity and about its DHCP servers."""

from datetime import timedelta
from pathlib import Path

import pytest

from switchguard.core.penalties import Block
from switchguard.core.policy import IdentityPolicy
from switchguard.edge.leases import LeaseSource
from switchguard.edge.settings import Site, load_site
from switchguard.errors import SiteError

HOST = (
    "sw1: {hostname: 127.0.0.1, platform: cisco_ios, username: ada, "
    "data: {switchguard: {role: access, password: {env: X}}}}\n"
)


def site(directory: Path, text: str) -> Site:
    (directory / "switchguard.yaml").write_text(text)
    (directory / "hosts.yaml").write_text(HOST)
    return load_site(directory)


def test_without_a_word_penalties_follow_at_four_fifths_and_randomised_macs_are_like_others(tmp_path: Path) -> None:
    assert site(tmp_path, "{}\n").policy.identity == IdentityPolicy(
        0.8, 2, timedelta(minutes=30), per_person=False, randomised_at_most=None, randomised_instead=None
    )


def test_every_key_arrives(tmp_path: Path) -> None:
    easier = "randomised: {at_most: 1h, instead: {block: address}}"
    text = f"identity: {{follow_above: never, for_polls: 5, within: 10m, {easier}}}\n"
    found = site(tmp_path, text).policy.identity
    assert found == IdentityPolicy(1.0, 5, timedelta(minutes=10), False, timedelta(hours=1), Block("address"))


def test_leases_start_at_the_site_and_a_switch_is_asked_with_the_switches(tmp_path: Path) -> None:
    found = site(
        tmp_path,
        "leases:\n  office: {dnsmasq: dnsmasq.leases}\n  floor: {snooping: sw1}\n"
        "  dorm: {kea_api: 'unix:/run/kea.sock', timeout: 3s}\n",
    )
    assert found.leases == (
        LeaseSource("office", "dnsmasq", str(tmp_path / "dnsmasq.leases")),
        LeaseSource("dorm", "kea_api", "unix:/run/kea.sock", timeout_s=3.0),
    )
    assert found.snooping == {"sw1"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("identity: {follow_above: 0.3}\n", "follow_above"),
        ("identity: {per_person: true}\n", "The site has no 'registry'"),
        ("identity: {randomised: {instead: {block: port}}}\n", "identity.randomised.instead.block"),
        ("leases: {a: {}}\n", "leases come from exactly one of dnsmasq, isc, kea, kea_api and snooping"),
        ("leases: {a: {isc: x, kea: y}}\n", "leases come from exactly one of"),
        ("leases: {a: {isc: x, user: ada, password: {env: X}}}\n", "belong together, and to kea_api"),
        ("leases: {a: {kea_api: 'ftp://kea/'}}\n", "is no control API; write it like http://127.0.0.1:8000/"),
        ("leases: {a: {snooping: sw2}}\n", "leases 'a': no device called 'sw2'; did you mean 'sw1'?"),
        ("leases: {sw1: {isc: x}}\n", "leases 'sw1': a device has this name"),
        ("leases: {a: {dnsmask: x}}\n", "unknown key 'leases.a.dnsmask'"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SiteError) as refused:
        site(tmp_path, text)
    assert why in str(refused.value)
