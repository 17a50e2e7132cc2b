"""`switchguard analyze`: every saved table that a driver reads, and what happens to everything else."""

import gzip
import io
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchguard import plugins
from switchguard.cli.analyze import curve
from switchguard.cli.main import run
from switchguard.ports import ReadsCapture

RECORDINGS = Path(__file__).parents[1] / "recordings"
ROW = (
    "ipv4     2 udp      17 25 src=10.20.0.{0} dst=198.51.100.{1} sport=51413 dport=6881 packets=4 bytes=400 "
    "src=198.51.100.{1} dst=203.0.113.5 sport=6881 dport=51413 packets=9 bytes=9000 [ASSURED] mark=0 use=1\n"
)
LOG = (
    "Nov 20 08:00:0{1} gw1 kernel: [ 12.345678] new: IN=lan0 OUT=wan0 MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 "
    "SRC=10.20.0.{0} DST=198.51.100.{1} LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=0 DF PROTO=TCP SPT=51000 DPT=443 "
    "WINDOW=64240 RES=0x00 SYN URGP=0\n"
)
IOS = "udp 203.0.113.1:51413  10.20.0.{0}:51413    198.51.100.{1}:6881 198.51.100.{1}:6881\n"
HEADER = "Pro Inside global      Inside local       Outside local      Outside global\n"
TABLE = "".join(ROW.format(7, n) for n in range(1, 6)) + ROW.format(8, 1)


class Said:
    """What a run of the command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sessions(self) -> dict[str, int]:
        return {client["client"]: client["sessions"] for client in self.json["clients"]}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.txt"
    file.write_text(TABLE)
    return file


@pytest.fixture
def analyze(capsys: pytest.CaptureFixture[str]) -> "Analyze":
    return Analyze(capsys)


class Analyze:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        code = run(["analyze", *map(str, arguments)])
        return Said(code, *self._capsys.readouterr())


# --- every recording -------------------------------------------------------------------------------------------------


def saved_tables() -> Iterator[tuple[str, str, Path]]:
    """Platform, table and file of every answer in the recordings that is one of its driver's captures."""
    for session in sorted(RECORDINGS.glob("*/nat/*/session.yaml")):
        platform = session.parts[-4]
        driver = plugins.driver(platform)
        if isinstance(driver, ReadsCapture):
            said = yaml.safe_load(session.read_text())
            yield from ((platform, table, session.parent / name) for table, name in said.get("file", {}).items())
            for command, name in {**said.get("ask", {}), **said.get("stream", {})}.items():
                for table, capture in driver.captures.items():
                    if any(words in command for words in capture.printed_by):
                        yield platform, table, session.parent / name


SAVED = [pytest.param(*saved, id="/".join(saved[2].parts[-4:])) for saved in saved_tables()]


@pytest.mark.parametrize(("platform", "name", "file"), SAVED)
def test_every_recorded_table_is_read_whole(analyze: Analyze, platform: str, name: str, file: Path) -> None:
    said = analyze(file, "--platform", platform, "--table", name, "--json")
    assert (said.code, said.json["table"]["unparsed"]) == (0, 0)
    clients = {usage["address"]: usage["sessions"] for usage in json.loads((file.parent / "expected.json").read_text())}
    assert said.sessions.items() <= clients.items()


@pytest.mark.parametrize(("platform", "name", "file"), SAVED)
def test_every_recorded_table_is_recognised(analyze: Analyze, platform: str, name: str, file: Path) -> None:
    if platform == "windows_rras" or any(word in file.read_text() for word in ("src=", "Inside global")):
        said = analyze(file, "--json")
        assert (said.code, said.err) == (0, f"{file}: recognised as {first_with_the_layout(platform, name)} {name}\n")


def first_with_the_layout(platform: str, table: str) -> str:
    """One layout under several names is recognised as that of the first of them."""
    drivers = {name: plugins.driver(name) for name in plugins.driver_names()}
    captures = {name: it.captures.get(table) for name, it in drivers.items() if isinstance(it, ReadsCapture)}
    return next(name for name, capture in captures.items() if capture is captures[platform])


def test_something_is_recorded_for_every_table_that_devices_are_asked_for() -> None:
    recorded = {(saved.values[0], saved.values[1]) for saved in SAVED}
    assert {("linux", "conntrack"), ("cisco_ios", "translations")} <= recorded
    assert {("windows_rras", "csv"), ("windows_rras", "json")} <= recorded


# --- the object ------------------------------------------------------------------------------------------------------


def test_the_object_is_what_the_documentation_says(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--json").json
    assert said == {
        "schema": 1,
        "table": {"entries": 6, "unparsed": 0, "clients": 2},
        "clients": [
            {
                "client": client,
                "sessions": sessions,
                "remotes": sessions,
                "udp_share": 1.0,
                "active_share": 0.0,
                "bytes": sessions * 9400,
                "factor": 0.0,
                "because": because,
            }
            for client, sessions, because in (
                ("10.20.0.7", 5, ["5 of 5 sessions go to different hosts", "0 % active", "100 % to port 6881"]),
                ("10.20.0.8", 1, ["1 session goes to one host", "0 % active", "100 % to port 6881"]),
            )
        ],
    }


def test_every_key_is_documented(analyze: Analyze, table: Path) -> None:
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    row = next(line for line in documented.splitlines() if line.startswith("| `analyze`"))
    said = analyze(table, "--json").json
    assert all(key in row for key in (*said["table"], *said["clients"][0]))


def test_clients_come_worst_first(analyze: Analyze, tmp_path: Path) -> None:
    """Who has more sessions, but all of them to one host, is no swarm."""
    file = tmp_path / "table.txt"
    swarm = "".join(ROW.replace("17 25", "17 110").format(9, n) for n in range(1, 200))
    bulk = "".join(ROW.replace("17 25", "17 110").format(7, 1) for _ in range(400))
    file.write_text(bulk + swarm)
    said = analyze(file, "--json").json["clients"]
    assert [(client["client"], client["sessions"]) for client in said] == [("10.20.0.9", 199), ("10.20.0.7", 400)]
    assert said[0]["factor"] > 0.5 > said[1]["factor"]


def test_a_limit_shortens_the_list_and_not_the_counts(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--json", "--limit", 1)
    assert (said.sessions, said.json["table"]["clients"]) == ({"10.20.0.7": 5}, 2)


def test_what_a_table_does_not_tell_is_null(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "translations.txt"
    file.write_text(HEADER + IOS.format(7, 1))
    (client,) = analyze(file, "-p", "cisco_ios", "--json").json["clients"]
    assert (client["active_share"], client["bytes"]) == (None, None)


# --- for people ------------------------------------------------------------------------------------------------------


def test_the_ranking_has_a_line_per_client_and_the_curve_below(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--platform", "linux")
    lines = said.out.splitlines()
    assert lines[0] == "linux conntrack: 6 entries, 2 clients"
    assert lines[2].split()[:6] == ["0.00", "10.20.0.7", "5", "5", "0%", "47.0"]
    assert lines[-1].strip() == "sessions of 2 clients, from the fewest to the most"
    assert said.err == ""


def test_the_curve_goes_up_to_the_right() -> None:
    *_, bottom, axis, _ = curve([1, 1, 4, 8])
    assert bottom == "   │▆▆██"
    assert axis == " 0 └────"


def test_many_clients_share_a_column_and_the_busiest_is_seen() -> None:
    *_, bottom, axis, _ = curve([0] * 999 + [10])
    assert bottom.endswith("█")
    assert axis.count("─") == 72


def test_rows_of_nobody_are_told(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--inside", "10.20.0.8/32")
    assert said.out.startswith("linux conntrack: 6 entries, 5 of them nobody's, 1 clients")


# --- where it comes from ---------------------------------------------------------------------------------------------


def test_gzip_is_told_by_its_octets_and_not_by_its_name(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.txt"
    file.write_bytes(gzip.compress(TABLE.encode()))
    assert analyze(file, "--json").sessions == {"10.20.0.7": 5, "10.20.0.8": 1}


def test_a_rotated_log_may_have_several_members(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.gz"
    half = len(TABLE) // 2
    file.write_bytes(gzip.compress(TABLE[:half].encode()) + gzip.compress(TABLE[half:].encode()))
    assert analyze(file, "--json").sessions == {"10.20.0.7": 5, "10.20.0.8": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_a_dash_is_standard_input(analyze: Analyze, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    octets = gzip.compress(TABLE.encode()) if packed else TABLE.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert analyze("-", "--json").sessions == {"10.20.0.7": 5, "10.20.0.8": 1}


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_text_from_windows_is_text(analyze: Analyze, tmp_path: Path, coding: str) -> None:
    file = tmp_path / "table.txt"
    file.write_bytes(TABLE.replace("\n", "\r\n").encode(coding))
    assert analyze(file, "--json").json["table"] == {"entries": 6, "unparsed": 0, "clients": 2}


def test_a_truncated_gzip_file_is_ranked_as_far_as_it_goes(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.gz"
    packer = zlib.compressobj(wbits=31)
    file.write_bytes(packer.compress(TABLE.encode()) + packer.flush(zlib.Z_SYNC_FLUSH))
    said = analyze(file, "--json")
    assert (said.code, said.json["table"]["entries"]) == (1, 6)
    assert f"error: {file}: the gzip file is cut off" in said.err


def test_a_damaged_gzip_file_says_so(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.gz"
    octets = bytearray(gzip.compress(TABLE.encode() * 100))
    octets[-8:-4] = b"\0\0\0\0"
    file.write_bytes(octets)
    said = analyze(file, "-p", "linux", "--json")
    assert (said.code, "damaged gzip" in said.err) == (1, True)


def test_a_file_that_is_not_there_is_an_error(analyze: Analyze, tmp_path: Path) -> None:
    said = analyze(tmp_path / "nothing.txt")
    assert (said.code, said.err) == (1, f"error: {tmp_path}/nothing.txt: No such file or directory\n")


# --- what it is ------------------------------------------------------------------------------------------------------


def test_another_platforms_table_is_an_error_that_names_the_right_one(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--platform", "cisco_ios", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"error: {table} is no cisco_ios table: it looks like linux conntrack; try --platform linux --table conntrack\n"
    )


def test_a_platform_without_saved_tables_lists_those_that_have_some(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--platform", "arista_eos")
    assert said.code == 1
    assert said.err.startswith("error: no saved table of arista_eos can be read; there are: cisco_")


def test_an_unknown_platform_suggests_the_nearest(analyze: Analyze, table: Path) -> None:
    assert "did you mean 'linux'" in analyze(table, "--platform", "linus").err


def test_an_unknown_table_lists_those_there_are(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--platform", "linux", "--table", "xlate")
    assert said.err == "error: linux has no saved table 'xlate'; there are: conntrack\n"


def test_an_error_message_instead_of_a_table_is_quoted(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.txt"
    file.write_text("conntrack: command not found\n")
    unrecognised, named = analyze(file), analyze(file, "--platform", "linux")
    assert (unrecognised.code, "it begins 'conntrack: command not found'" in unrecognised.err) == (1, True)
    assert (named.code, named.out) == (1, "")
    assert named.err.splitlines()[1:] == [
        "  line 1: conntrack: command not found",
        f"error: {file}: no line of it is a row of linux conntrack",
    ]


def test_an_empty_table_is_empty_if_somebody_says_what_it_is(analyze: Analyze, tmp_path: Path) -> None:
    file = tmp_path / "table.txt"
    file.write_text("")
    said = analyze(file, "-p", "linux", "--json")
    assert (said.code, said.json["table"]) == (0, {"entries": 0, "unparsed": 0, "clients": 0})
    assert "is empty" in analyze(file).err


def test_a_network_that_is_none_is_an_error(analyze: Analyze, table: Path) -> None:
    said = analyze(table, "--inside", "10.20.0.1/16")
    assert (said.code, "has host bits set; write it like 10.10.0.0/16" in said.err) == (1, True)


# --- what cannot be read ---------------------------------------------------------------------------------------------


def test_unreadable_lines_are_counted_and_the_first_three_quoted(analyze: Analyze, table: Path) -> None:
    table.write_text(TABLE + "one\n" + TABLE + " --More-- \nthree\x1b[7m\nfour\n")
    said = analyze(table, "-p", "linux", "--json")
    assert (said.code, said.json["table"]) == (0, {"entries": 12, "unparsed": 4, "clients": 2})
    assert said.err == (
        "4 lines are neither a row nor known noise:\n  line 7: one\n  line 14:  --More-- \n  line 15: three\\x1b[7m\n"
    )


def test_a_table_that_ends_in_the_middle_of_a_line_says_so(analyze: Analyze, table: Path) -> None:
    table.write_text(TABLE[:-30])
    said = analyze(table, "-p", "linux", "--json")
    assert said.json["table"] == {"entries": 5, "unparsed": 1, "clients": 1}
    assert "  line 6: ipv4" in said.err
    assert "the table is cut off" in said.err


@pytest.mark.parametrize("row", [ROW, IOS, LOG], ids=["conntrack", "ios", "log"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_line_is_lost_whatever_was_done_to_the_file(
    analyze: Analyze, tmp_path: Path, row: str, data: st.DataObject
) -> None:
    """Cut off, with prompts and errors in between, CR LF, another locale, a line of fifty columns: whole rows count as
    rows, everything else is noise or told."""
    good = data.draw(st.lists(st.builds(row.format, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=9))
    strange = st.one_of(
        st.sampled_from([" --More-- ", "% Invalid input detected at '^' marker.", "Zeitüberschreitung der Verbindung"]),
        st.just(" ".join(f"c{n}" for n in range(50))),
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1).filter(str.strip),
    )
    bad = data.draw(st.lists(strange, max_size=5))
    lines = data.draw(st.permutations([*good, *(f"{line}\n" for line in bad)]))
    text = "".join(lines)
    if data.draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    cut = data.draw(st.integers(0, len(row) // 2)) if lines[-1] in good else 0
    file = tmp_path / "table.txt"
    file.write_bytes(text.encode()[: len(text.encode()) - cut])
    platform = {ROW: "linux", IOS: "cisco_ios", LOG: "netfilter_log"}[row]
    said = analyze(file, "--platform", platform, "--json")
    if said.code == 0:
        whole = len(good) - (cut > 2)
        assert whole <= said.json["table"]["entries"] <= len(good)
        assert said.json["table"]["unparsed"] <= len(bad) + 1
        assert said.err.count("  line ") == min(said.json["table"]["unparsed"], 3)
    else:
        assert "error: " in said.err


# --- firewall logs ---------------------------------------------------------------------------------------------------


def log(analyze: Analyze, file: Path, text: str, *options: str) -> Said:
    file.write_text(text)
    return analyze(file, "--json", *options)


def test_a_log_line_is_a_session_of_its_source(analyze: Analyze, tmp_path: Path) -> None:
    text = "".join(LOG.format(7, n) for n in range(1, 6)) + LOG.format(8, 1) * 3
    said = log(analyze, tmp_path / "kern.log", text)
    assert (said.sessions, said.err) == (
        {"10.20.0.7": 5, "10.20.0.8": 3},
        f"{tmp_path}/kern.log: recognised as netfilter_log log\n",
    )


def test_packets_that_begin_nothing_are_nobodys(analyze: Analyze, tmp_path: Path) -> None:
    text = (
        LOG.format(7, 1) + LOG.format(7, 1).replace(" SYN ", " ACK SYN ") + LOG.format(7, 1).replace(" SYN ", " RST ")
    )
    said = log(analyze, tmp_path / "kern.log", text)
    assert (said.sessions, said.json["table"]["entries"]) == ({"10.20.0.7": 1}, 3)


def test_other_messages_of_the_kernel_are_noise(analyze: Analyze, tmp_path: Path) -> None:
    text = "Nov 20 08:00:00 gw1 kernel: [ 12.3] usb 1-1: new device\n" + LOG.format(7, 1)
    assert log(analyze, tmp_path / "kern.log", text).json["table"] == {"entries": 1, "unparsed": 0, "clients": 1}


def test_a_log_line_that_was_cut_is_counted(analyze: Analyze, tmp_path: Path) -> None:
    text = LOG.format(7, 1) + LOG.format(7, 2)[:150] + "\n"
    assert log(analyze, tmp_path / "kern.log", text).json["table"] == {"entries": 1, "unparsed": 1, "clients": 1}


def test_visitors_are_clients_unless_somebody_says_what_is_inside(analyze: Analyze, tmp_path: Path) -> None:
    visit = LOG.format(7, 1).replace("SRC=10.20.0.7 DST=198.51.100.1", "SRC=198.51.100.1 DST=10.20.0.7")
    assert log(analyze, tmp_path / "kern.log", visit).sessions == {"198.51.100.1": 1}
    assert log(analyze, tmp_path / "kern.log", visit, "--inside", "10.20.0.0/16").sessions == {"10.20.0.7": 1}


# --- Cisco's clock ---------------------------------------------------------------------------------------------------

VERBOSE = (
    "udp  203.0.113.1:1025      10.10.0.7:4000        192.0.2.1:6881        192.0.2.1:6881\n"
    "  create: 12/18/25 07:38:01, use: 12/18/25 07:40:0{}, timeout: 00:00:00\n"
)


@pytest.mark.parametrize(("clock", "active"), [("", 1.0), ("gw1 uptime\n*07:41:06.5 UTC Thu Dec 18 2025\n", 0.5)])
def test_without_a_clock_the_latest_moment_is_now(analyze: Analyze, tmp_path: Path, clock: str, active: float) -> None:
    file = tmp_path / "translations.txt"
    file.write_text(clock + VERBOSE.format(5) + VERBOSE.format(7) + "Total number of translations: 2\n")
    (client,) = analyze(file, "-p", "cisco_ios", "--json").json["clients"]
    assert client["active_share"] == active


# --- the picture -----------------------------------------------------------------------------------------------------


def test_svg_names_the_busiest(analyze: Analyze, table: Path, tmp_path: Path) -> None:
    assert analyze(table, "--plot", tmp_path / "out.svg").code == 0
    drawn = (tmp_path / "out.svg").read_text()
    assert drawn.startswith("<svg ")
    assert "10.20.0.7: 5" in drawn


def test_png_is_one(analyze: Analyze, table: Path, tmp_path: Path) -> None:
    assert analyze(table, "--plot", tmp_path / "out.png").code == 0
    octets = (tmp_path / "out.png").read_bytes()
    assert octets.startswith(b"\x89PNG\r\n\x1a\n")
    pixels = zlib.decompress(octets[octets.index(b"IDAT") + 4 : octets.index(b"IEND") - 8])
    assert len(pixels) == 420 * 901


def test_another_ending_is_an_error_before_anything_is_read(analyze: Analyze, table: Path, tmp_path: Path) -> None:
    said = analyze(table, "--plot", tmp_path / "out.pdf")
    assert (said.code, said.out) == (1, "")
    assert said.err == f"error: {tmp_path}/out.pdf: a picture is .svg or .png, not .pdf\n"


# --- what it costs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--platform", "linux")])
def test_no_library_for_devices_is_loaded(table: Path, options: tuple[str, ...]) -> None:
    program = (
        "import sys; from switchguard.cli.main import run; code = run(sys.argv[1:]); "
        "print(sorted({name.split('.')[0] for name in sys.modules})); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "analyze", str(table), *options]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    heavy = {"netmiko", "napalm", "paramiko", "sqlalchemy", "pysnmp", "nornir", "apscheduler", "structlog", "asyncssh"}
    assert {name for name in heavy if f"'{name}'" in loaded} == set()
