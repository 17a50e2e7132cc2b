import gzip
import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchguard.core.changes import Diff, Facts, HeldSlot, Outcome, Plan, Slot
from switchguard.core.evidence import Evidence
from switchguard.core.model import Attribution, Device, FdbEntry, Mac, NatUsage, Role, Snapshot, Station
from switchguard.core.penalties import Block, Decision, Exemption, Penalty, SessionCap, Verdict
from switchguard.edge.snapshots import Malformed, from_json, load_snapshot, save_snapshot, to_json
from switchguard.errors import SnapshotError

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
MAC = Mac.parse("02:00:00:00:00:07")
NUMBER = st.floats(allow_nan=False, allow_infinity=False)

st.register_type_strategy(float, NUMBER)
st.register_type_strategy(Mac, st.integers(0, (1 << 48) - 1).map(Mac))
st.register_type_strategy(datetime, st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])))
st.register_type_strategy(timedelta, st.timedeltas(timedelta(0), timedelta(days=9999)))


def whole(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a dataclass with every field drawn, defaults included."""
    return st.builds(kind, **dict.fromkeys(kind.__dataclass_fields__, ...))


st.register_type_strategy(Sequence, lambda kind: st.lists(st.from_type(get_args(kind)[0]), max_size=3).map(tuple))

for _kind in (Device, NatUsage, FdbEntry, Station, Slot, Verdict, Exemption):
    st.register_type_strategy(_kind, whole(_kind))


@pytest.mark.parametrize("kind", [Snapshot, Attribution, Decision, Plan, Outcome, HeldSlot, Exemption, Evidence, Facts])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_was_written_is_what_is_read(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(whole(kind))
    assert from_json(kind, json.loads(json.dumps(to_json(value)))) == value


def snapshot(rows: int = 3) -> Snapshot:
    core = Device("core1", "arista_eos", Role.CORE, uplinks=("Et1",))
    fdb = tuple(FdbEntry("core1", f"Et{n % 48}", Mac(n + 1), vlan=10, age_s=1.5) for n in range(rows))
    nat = NatUsage("gw1", ip_address("10.0.0.7"), 700, 690, 600, 0.2, 0.8, None, 0.9, 0.95, sketch=(1, 2**64 - 1))
    return Snapshot(AT, (core,), nat=(nat,), fdb=fdb, own_macs=(MAC,), own_addresses=(ip_address("2001:db8::1"),))


@pytest.mark.parametrize("name", ["snap.json", "snap.json.gz"])
def test_a_saved_snapshot_loads_again(tmp_path: Path, name: str) -> None:
    save_snapshot(tmp_path / name, snapshot(5000))
    assert load_snapshot(tmp_path / name) == snapshot(5000)


def test_the_name_decides_about_compression(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "snap.json", snapshot())
    save_snapshot(tmp_path / "snap.json.gz", snapshot())
    assert gzip.decompress((tmp_path / "snap.json.gz").read_bytes()) == (tmp_path / "snap.json").read_bytes()


def test_a_snapshot_is_for_its_owners_eyes(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "snap.json", snapshot())
    assert stat.S_IMODE((tmp_path / "snap.json").stat().st_mode) == 0o600


def test_a_snapshot_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "snap.json").mkdir()
    with pytest.raises(SnapshotError, match="cannot be written"):
        save_snapshot(tmp_path / "snap.json", snapshot())
    assert [path.name for path in tmp_path.iterdir()] == ["snap.json"]


def test_penalties_are_told_apart_by_kind() -> None:
    assert to_json(Block("address")) == {"kind": "block", "by": "address"}
    union: Any = Penalty
    assert [from_json(union, to_json(it)) for it in (Block(), SessionCap(100))] == [Block(), SessionCap(100)]


def test_plain_data_stays_plain_and_values_inside_it_are_written() -> None:
    value = {"mac": MAC, "at": [AT], "role": Role.CORE, "none": None, "set": frozenset({2, 1}), "share": 0.5}
    assert to_json({key: it for key, it in value.items() if key not in ("mac", "at")}) == {
        "role": "core",
        "none": None,
        "set": [1, 2],
        "share": 0.5,
    }
    assert to_json(Slot("core1", "block", Station(mac=MAC), IPv4Address("10.0.0.7"))) == {
        "device": "core1",
        "kind": "block",
        "station": {"port": None, "vlan": None, "mac": "02:00:00:00:00:07"},
        "address": "10.0.0.7",
        "network": None,
    }


def test_mappings_without_a_text_for_their_keys_are_lists_of_pairs() -> None:
    written = to_json(Attribution(AT, (), infrastructure={MAC: "gw1"}, uplinks={("core1", "Et1"): "LLDP"}))
    assert written["infrastructure"] == {"02:00:00:00:00:07": "gw1"}
    assert written["uplinks"] == [[["core1", "Et1"], "LLDP"]]


def document() -> dict[str, Any]:
    written: dict[str, Any] = to_json(snapshot())
    return written


def spoiled(change: dict[str, object], *way: str | int) -> dict[str, Any]:
    whole_document = document()
    spot: Any = whole_document
    for step in way:
        spot = spot[step]
    spot.update(change)
    return whole_document


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (spoiled({"colour": 1}), r"Snapshot: unknown: colour"),
        (spoiled({"colour": 1}, "fdb", 2), r"fdb\[2\]: FdbEntry: unknown: colour"),
        (spoiled({"sessions": "many"}, "nat", 0), r"nat\[0\]\.sessions: a whole number is expected, not 'many'"),
        (spoiled({"sessions": True}, "nat", 0), r"nat\[0\]\.sessions: a whole number is expected, not True"),
        (spoiled({"tcp_share": "all"}, "nat", 0), r"nat\[0\]\.tcp_share: a number is expected, not 'all'"),
        (spoiled({"mac": "02:00"}, "fdb", 0), r"fdb\[0\]\.mac: a MAC address is expected, not '02:00'"),
        (spoiled({"mac": 7}, "fdb", 0), r"fdb\[0\]\.mac: a MAC address is expected, not 7"),
        (spoiled({"role": "boss"}, "devices", 0), r"devices\[0\]\.role: one of gateway, core, access is expected"),
        (spoiled({"at": "2026-05-01T12:00:00"}), r"at: a time with its offset is expected"),
        (spoiled({"devices": {}}), r"devices: a list is expected, not \{\}"),
        (spoiled({"devices": [7]}), r"devices\[0\]: an object \(Device\) is expected, not 7"),
        ({"at": AT.isoformat()}, r"Snapshot: missing: devices"),
        ([], r"an object \(Snapshot\) is expected, not \[\]"),
    ],
)
def test_data_that_is_no_snapshot_is_told_where_it_goes_wrong(data: object, complaint: str) -> None:
    with pytest.raises(Malformed, match=f"^{complaint}"):
        from_json(Snapshot, data)


@pytest.mark.parametrize(
    ("kind", "data", "complaint"),
    [
        (Outcome, {"diff": {"text": "", "source": "guess"}}, "missing: change, seconds, state, why"),
        (Diff, {"text": "", "source": "guess"}, "source: one of device, computed is expected, not 'guess'"),
        (Attribution, {"at": AT.isoformat(), "clients": [], "infrastructure": []}, "infrastructure: an object"),
        (Attribution, {"at": AT.isoformat(), "clients": [], "uplinks": [["core1"]]}, r"uplinks\[0\]: a list of 2"),
        (Exemption, {"id": "1", "why": "", "network": "10.0.0.1/8"}, "network: a network is expected"),
        (Penalty, {"kind": "flog"}, "an object whose kind is one of notify, cap, limit, ports, block, quarantine"),
        (timedelta, 1e300, "a duration in seconds"),
    ],
)
def test_every_kind_of_value_is_checked(kind: Any, data: object, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        from_json(kind, data)


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (b"\x1f\x8b\x00", "is no snapshot"),
        (b"{", "is no snapshot"),
        (b"[]", "an object with schema and snapshot is expected"),
        (b'{"schema": 9, "snapshot": {}}', "has schema 9; this switchguard reads schema 1"),
        (b'{"schema": 1, "snapshot": {}}', "Snapshot: missing: at, devices"),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused_by_name(tmp_path: Path, octets: bytes, complaint: str) -> None:
    path = tmp_path / "snap.json"
    path.write_bytes(octets)
    with pytest.raises(SnapshotError, match=rf"snap\.json: .*{complaint}"):
        load_snapshot(path)


def test_a_broken_archive_and_a_missing_file_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.json.gz").write_bytes(gzip.compress(b"{}")[:-4])
    with pytest.raises(SnapshotError, match=r"broken\.json\.gz: is no snapshot"):
        load_snapshot(tmp_path / "broken.json.gz")
    with pytest.raises(SnapshotError, match=r"none\.json: cannot be read: No such file"):
        load_snapshot(tmp_path / "none.json")


def test_a_type_without_a_form_is_a_mistake_of_ours() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: complex

    with pytest.raises(TypeError, match="has no JSON form here"):
        to_json(Odd(1j))
    with pytest.raises(TypeError, match="has no JSON form here"):
        from_json(complex, "1j")


def test_both_families_of_addresses_and_networks_survive() -> None:
    for network in (IPv4Network("10.0.0.0/8"), IPv6Network("2001:db8::/32")):
        exemption = Exemption("1", "servers", network=network)
        assert from_json(Exemption, to_json(exemption)) == exemption
    assert from_json(Slot, to_json(Slot("gw1", "cap", address=IPv6Address("2001:db8::7")))).address == IPv6Address(
        "2001:db8::7"
    )
