"""What a site says about its landing page."""

import shutil
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from switchguard.core.penalties import RateLimit
from switchguard.core.policy import Probation
from switchguard.core.visitors import Landing, LetMeBack
from switchguard.edge.settings import load_site
from switchguard.errors import SiteError

EXAMPLES = Path(__file__).parents[2] / "examples"


def landing(tmp_path: Path, text: str) -> Landing:
    site = tmp_path / "site"
    shutil.copytree(EXAMPLES / "first-evening", site, dirs_exist_ok=True)
    with (site / "switchguard.yaml").open("a") as policy:
        policy.write(text)
    return load_site(site).landing


def test_without_a_word_there_is_no_button_and_no_proxy_is_believed(tmp_path: Path) -> None:
    assert landing(tmp_path, "") == Landing()


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    text = """\
language: de
landing:
  url: https://help.example.org/
  contact: help desk
  trusted_proxies: [127.0.0.1/32, "2001:db8::/64"]
  let_me_back: {per_day: 3, probation: {limit: 1Mbps, lasts: 30m}}
"""
    granted = LetMeBack(3, Probation(RateLimit(1_000_000), timedelta(minutes=30)))
    proxies = (ip_network("127.0.0.1/32"), ip_network("2001:db8::/64"))
    assert landing(tmp_path, text) == Landing("https://help.example.org/", "help desk", proxies, granted, "de")


def test_the_contact_of_the_notices_is_the_pages_too(tmp_path: Path) -> None:
    assert landing(tmp_path, "notices: {contact: room 3}\n").contact == "room 3"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "landing: {url: 'http://help.example.org/'}",
            "landing.url: 'http://help.example.org/' is no address of a page",
        ),
        ("landing: {url: 'https://a:b@help.example.org/'}", "is no address of a page; write it like https://"),
        ("landing: {trusted_proxies: [127.0.0.1/8]}", "'127.0.0.1/8' has host bits set; did you mean 127.0.0.0/8?"),
        (
            "landing: {let_me_back: {per_day: 0}}",
            "landing.let_me_back.per_day: input should be greater than or equal to 1",
        ),
        ("landing: {let_me_back: {perday: 1}}", "unknown key 'landing.let_me_back.perday'; did you mean 'per_day'?"),
        ("landing: {let_me_back: {probation: {lasts: 1h}}}", "a penalty is exactly one of notify, cap, limit, ports"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SiteError) as caught:
        landing(tmp_path, text + "\n")
    assert caught.value.line == 13
    assert why in str(caught.value)
