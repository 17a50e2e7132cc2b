"""Tables of Windows that somebody exported: both formats and vocabularies, and what PowerShell makes of one row."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest

from switchguard import plugins
from switchguard.edge.captures import choose, open_capture
from switchguard.ports import NatTable, ReadsCapture

DRIVER = cast(ReadsCapture, plugins.driver("windows_rras"))

MAPPINGS = """\
Protocol,Direction,Private Address,Private Port,Public Address,Public Port,Remote Address,Remote Port,Idle Time
TCP,Outbound,10.10.0.7,51413,203.0.113.5,62001,198.51.100.1,6881,4
UDP,Outbound,10.10.0.7,51413,203.0.113.5,62002,198.51.100.2,6881,70
ICMP,Outbound,10.10.0.8,1,203.0.113.5,62003,198.51.100.3,0,1
"""
EXPORTED = """\
#TYPE Selected.Microsoft.Management.Infrastructure.CimInstance
"NatName";"Protocol";"InternalSourceAddress";"InternalSourcePort";"ExternalDestinationAddress";"ExternalDestinationPort"
"lab";"TCP";"192.168.100.2";"50001";"198.51.100.1";"443"
"""


def session(**told: object) -> dict[str, object]:
    """A row as `ConvertTo-Json` has it, with what a CIM instance carries along."""
    return {
        "CreationTime": "\\/Date(1763625600000)\\/",
        "Protocol": 6,
        "InternalSourceAddress": "192.168.100.2",
        "InternalSourcePort": 50001,
        "InternalDestinationAddress": "198.51.100.1",
        "ExternalSourceAddress": "203.0.113.5",
        "ExternalDestinationAddress": "198.51.100.1",
        "ExternalDestinationPort": 443,
        "CimSystemProperties": {"Namespace": "root/StandardCimv2", "ClassName": "MSFT_NetNatSession"},
        **told,
    }


ONE = session()
SEVERAL = [ONE, session(InternalSourceAddress="192.168.100.3", Protocol=17), session(ExternalDestinationPort=80)]


def read(path: Path, octets: bytes, platform: str | None = None) -> NatTable:
    path.write_bytes(octets)
    with open_capture(str(path)) as file:
        kind = choose(file, platform, None)
        assert kind.platform == "windows_rras"
        return DRIVER.read_capture(file.chunks, kind.table, ())


def sessions(table: NatTable) -> dict[str, int]:
    return {str(usage.address): usage.sessions for usage in table.usages}


def test_mappings_of_rras_tell_idle_times(tmp_path: Path) -> None:
    table = read(tmp_path / "mappings.csv", MAPPINGS.encode())
    assert (table.entries, table.unparsed, sessions(table)) == (3, 0, {"10.10.0.7": 2, "10.10.0.8": 1})
    busiest = table.usages[0]
    assert (busiest.remotes, busiest.udp_share, busiest.active_share, busiest.top_port) == (2, 0.5, 0.5, 6881)


def test_a_semicolon_separates_where_the_locale_says_so(tmp_path: Path) -> None:
    assert sessions(read(tmp_path / "sessions.csv", EXPORTED.encode())) == {"192.168.100.2": 1}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("indent", [None, 4], ids=["compressed", "pretty"])
def test_json_is_read_however_powershell_wrote_it(tmp_path: Path, encoding: str, indent: int | None) -> None:
    separators = (",", ":") if indent is None else None
    text = json.dumps(SEVERAL, indent=indent, separators=separators).replace("\n", "\r\n")
    table = read(tmp_path / "sessions.json", text.encode(encoding))
    assert (table.unparsed, table.complete) == (0, True)
    assert sessions(table) == {"192.168.100.2": 2, "192.168.100.3": 1}
    assert {usage.address: usage.udp_share for usage in table.usages}[ip_address("192.168.100.3")] == 1.0


def test_a_single_session_is_no_list(tmp_path: Path) -> None:
    assert sessions(read(tmp_path / "one.json", json.dumps(ONE, indent=2).encode())) == {"192.168.100.2": 1}


def test_a_long_table_on_one_line_is_read_whole() -> None:
    octets = json.dumps([ONE] * 2000, separators=(",", ":")).encode()
    chunks = [octets[start : start + 997] for start in range(0, len(octets), 997)]
    table = DRIVER.read_capture(chunks, "json", ())
    assert (table.entries, table.unparsed, table.complete) == (2000, 0, True)


def test_a_cut_off_table_is_told(tmp_path: Path) -> None:
    text = json.dumps(SEVERAL, indent=4)
    table = read(tmp_path / "cut.json", text[:-60].encode())
    assert (table.entries, table.unparsed, table.complete) == (2, 1, False)


@pytest.mark.parametrize("separators", [(",", ": "), (",", ":")], ids=["usual", "compressed"])
def test_a_list_that_is_cut_off_between_two_sessions_is_told(separators: tuple[str, str]) -> None:
    text = json.dumps(SEVERAL, separators=separators)
    table = DRIVER.read_capture([text[: text.rindex("},{") + 2].encode()], "json", ())
    assert (table.entries, table.unparsed, table.complete) == (2, 0, False)


def test_what_is_no_session_is_counted_and_quoted(tmp_path: Path) -> None:
    rows = MAPPINGS + "TCP,Outbound,10.10.0.300,1,203.0.113.5,2,198.51.100.1,3,4\nTCP,Outbound\n"
    table = read(tmp_path / "odd.csv", rows.encode())
    assert (table.entries, table.unparsed) == (3, 2)
    assert [number for number, _ in table.samples] == [5, 6]


@pytest.mark.parametrize(
    "worse",
    [
        "T CP,Outbound,10.10.0.7,1,203.0.113.5,2,198.51.100.1,443,4",
        "TCP,Outbound,10.10.0.7,1,203.0.113.5,2,198.51.100.1,65536,4",
        "TCP,Outbound,10.10.0.7,1,203.0.113.5,2,198.51.100.1,-1,4",
        "TCP,Outbound,10.10.0.7,1,203.0.113.5,2,198.51.100.1,443,nan",
        "TCP,Outbound\r,10.10.0.7,1,203.0.113.5,2,198.51.100.1,443,4",
    ],
)
def test_a_row_with_anything_strange_is_counted_and_not_believed(worse: str) -> None:
    table = DRIVER.read_capture([f"{MAPPINGS}{worse}\n".encode()], "csv", ())
    assert (table.entries, table.unparsed) == (3, 1)


def test_a_heading_that_is_damaged_is_counted() -> None:
    table = DRIVER.read_capture([MAPPINGS.replace("Direction", "Direc\rtion").encode()], "csv", ())
    assert (table.entries, table.unparsed) == (0, 4)


def test_an_object_without_a_client_is_counted() -> None:
    table = DRIVER.read_capture(
        [b'[{"Protocol": 6},\n{"InternalSourceAddress": "x", "Protocol": 6}]\nnoise\n'], "json", ()
    )
    assert (table.entries, table.unparsed) == (0, 3)


def test_nothing_is_asked_of_windows() -> None:
    """`switchguard drivers` shows one capability: reading what was saved."""
    assert [name for name in vars(type(DRIVER)) if not name.startswith("_")] == ["platform", "captures", "read_capture"]
