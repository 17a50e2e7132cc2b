"""Who asks: forged headers, stolen forms, and too many requests."""

from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reception import CULPRIT, NEIGHBOUR, NOW

from switchguard.web.visitor import Throttle, Tokens, visitor_address

PROXIES = (ip_network("127.0.0.1/32"), ip_network("192.0.2.0/28"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        (CULPRIT, "", CULPRIT),
        (CULPRIT, NEIGHBOUR, CULPRIT),
        (CULPRIT, "no address at all", CULPRIT),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", CULPRIT, CULPRIT),
        ("127.0.0.1", f"{NEIGHBOUR}, {CULPRIT}", CULPRIT),
        ("127.0.0.1", f"{NEIGHBOUR}, {CULPRIT}, 192.0.2.3", CULPRIT),
        ("127.0.0.1", f"127.0.0.1, {CULPRIT}", CULPRIT),
        ("127.0.0.1", "192.0.2.3, 192.0.2.4", "192.0.2.3"),
        ("127.0.0.1", "garbage, 10.10.0.107", CULPRIT),
        ("::ffff:10.10.0.107", "", CULPRIT),
        ("fe80::7%eth0", "", "fe80::7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_only_what_a_trusted_proxy_added_itself_is_believed(peer: str, forwarded: str, visitor: str) -> None:
    assert visitor_address(peer, forwarded, PROXIES) == ip_address(visitor)


@pytest.mark.parametrize("forwarded", ["unknown", f"{CULPRIT}, _hidden", f"{CULPRIT},", "10.10.0.107:5000"])
def test_a_trusted_proxy_that_forwards_no_address_is_an_error(forwarded: str) -> None:
    with pytest.raises(ValueError):
        visitor_address("127.0.0.1", forwarded, PROXIES)


@given(st.text(max_size=60))
def test_nobody_becomes_somebody_else_by_a_header(forwarded: str) -> None:
    assert visitor_address(CULPRIT, forwarded, PROXIES) == ip_address(CULPRIT)


def test_a_form_is_good_for_one_address_and_one_hour() -> None:
    tokens, address = Tokens(), ip_address(CULPRIT)
    token = tokens.make(address, NOW)
    assert tokens.good(token, address, NOW + timedelta(minutes=59))
    assert not tokens.good(token, address, NOW + timedelta(minutes=61))
    assert not tokens.good(token, ip_address(NEIGHBOUR), NOW)
    assert not Tokens().good(token, address, NOW)


@given(st.text(max_size=90))
def test_no_invented_form_is_good(token: str) -> None:
    assert not Tokens(b"secret").good(token, ip_address(CULPRIT), NOW)


def test_a_later_end_cannot_be_written_into_a_form() -> None:
    tokens, address = Tokens(), ip_address(CULPRIT)
    ends, _, signature = tokens.make(address, NOW).partition(".")
    assert not tokens.good(f"{int(ends) + 3600}.{signature}", address, NOW)


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(Tokens(b"secret"))


def test_requests_are_bounded_per_address_and_come_back_with_time() -> None:
    seconds = [0.0]
    throttle = Throttle(burst=3, per_minute=60, clock=lambda: seconds[0])
    assert [throttle.allows(ip_address(CULPRIT)) for _ in range(5)] == [True, True, True, False, False]
    assert throttle.allows(ip_address(NEIGHBOUR))
    seconds[0] = 1.0
    assert [throttle.allows(ip_address(CULPRIT)) for _ in range(2)] == [True, False]


def test_many_addresses_take_no_more_memory_than_a_few() -> None:
    throttle = Throttle(burst=1, per_minute=1, clock=lambda: 0.0, addresses=10)
    first = ip_address("10.0.0.0")
    assert all(throttle.allows(first + number) for number in range(100))
    assert len(throttle._buckets) == 10
