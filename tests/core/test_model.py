"""The nouns that have behaviour of their own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Mac, Station
from switchguard.core.penalties import Block

SEVEN = Mac(0x020000000007)


@pytest.mark.parametrize(
    "text",
    [
        "02:00:00:00:00:07",
        "02-00-00-00-00-07",
        "0200.0000.0007",
        "0200:0000:0007",
        "0200-0000-0007",
        "020000-000007",
        "020000000007",
        " 02:00:00:00:00:07\n",
    ],
)
def test_every_vendors_spelling_of_a_mac_is_the_same_mac(text: str) -> None:
    assert Mac.parse(text) == SEVEN


@pytest.mark.parametrize(
    "text", ["", "02:00:00:00:00", "02:00:00:00:00:07:08", "02:00-00:00:00:07", "0200.0000.000g", "10.10.0.7", "7"]
)
def test_what_is_no_mac_is_refused_with_the_usual_spellings(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address; write it like 02:00:00:00:00:07"):
        Mac.parse(text)


@settings(deadline=None)
@given(st.integers(0, (1 << 48) - 1))
def test_a_mac_survives_every_spelling(value: int) -> None:
    mac = Mac(value)
    assert Mac.parse(str(mac)) == Mac.parse(mac.dotted()) == Mac.parse(str(mac).upper()) == mac
    assert Mac.from_octets(mac.octets) == mac


@pytest.mark.parametrize("value", [-1, 1 << 48])
def test_a_mac_has_48_bits(value: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        Mac(value)


def test_a_mac_has_six_octets() -> None:
    with pytest.raises(ValueError, match="6 octets, not 7: 06020000000007"):
        Mac.from_octets(bytes.fromhex("06020000000007"))


@pytest.mark.parametrize(
    ("text", "multicast", "local"),
    [
        ("01:00:5e:00:00:01", True, False),
        ("ff:ff:ff:ff:ff:ff", True, True),
        ("02:00:00:00:00:07", False, True),
        ("00:1b:21:3c:4d:5e", False, False),
    ],
)
def test_group_and_local_bits(text: str, multicast: bool, local: bool) -> None:
    assert (Mac.parse(text).is_multicast, Mac.parse(text).is_local) == (multicast, local)


def test_a_change_with_its_ends_swapped_is_its_own_rollback() -> None:
    slot = Slot("core", "block", Station(vlan=10, mac=SEVEN))
    change = Change(slot, None, Block(), ("v1",), "swarm")
    assert change.inverse() == Change(slot, Block(), None, ("v1",), "undo: swarm")
    assert change.inverse().inverse().after == change.after
