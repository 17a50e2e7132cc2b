"""Lease files and Kea's API: what is whole is read, what is not is said."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from switchguard.core.model import Gap, Lease, Mac
from switchguard.edge.lease_texts import dnsmasq, isc, kea_answer, kea_csv
from switchguard.edge.leases import LeaseSource, read_all
from switchguard.ports import Secret

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
STAMP = int(LATER.timestamp())
LAPTOP = Mac.parse("02:00:00:00:00:07")
WANTED = Lease("dhcp", ip_address("10.10.0.107"), LAPTOP, "laptop", "ff:01:02:0a", LATER)


def clock() -> datetime:
    return NOW


# --- dnsmasq ---------------------------------------------------------------------------------------------------------

DNSMASQ = f"{STAMP} 02:00:00:00:00:07 10.10.0.107 laptop ff:1:2:a\n"


def test_dnsmasq_tells_leases_and_what_is_not_known_by_a_star() -> None:
    told = dnsmasq("dhcp", DNSMASQ + "0 02:00:00:00:00:08 10.10.0.108 * *\n", NOW)
    endless = Lease("dhcp", ip_address("10.10.0.108"), Mac.parse("02:00:00:00:00:08"))
    assert told.leases == (WANTED, endless)
    assert told.trouble == ""


def test_a_last_line_without_its_end_is_never_half_a_lease() -> None:
    for cut in range(1, len(DNSMASQ)):
        told = dnsmasq("dhcp", DNSMASQ + DNSMASQ[:cut].replace("107", "108"), NOW)
        assert told.leases == (WANTED,)
        if cut < len(DNSMASQ) - 1:
            assert told.trouble == "line 2 has no end: it is being written"


def test_a_line_that_is_none_is_said_and_the_others_count() -> None:
    told = dnsmasq("dhcp", "what is this\n" + DNSMASQ, NOW)
    assert told.leases == (WANTED,)
    assert told.trouble == "line 1 is no lease: 'what is this'"


def test_the_ipv6_part_and_other_hardware_are_no_leases_of_a_mac() -> None:
    text = f"{STAMP} 20-02:00:00:00:00:07 10.10.0.107 a *\nduid 00:01\n{STAMP} 123 2001:db8::7 b 00:01:02\n"
    assert dnsmasq("dhcp", text, NOW) == dnsmasq("dhcp", "", NOW)


def test_what_has_run_out_stands_no_more() -> None:
    assert dnsmasq("dhcp", DNSMASQ, LATER).leases == ()


# --- ISC dhcpd -------------------------------------------------------------------------------------------------------

ISC = """\
lease 10.10.0.107 {
  starts 5 2026/11/20 11:00:00;
  ends 5 2026/11/20 13:00:00;
  binding state active;
  next binding state free;
  hardware ethernet 02:00:00:00:00:07;
  uid "\\377\\001\\002\\012";
  set vendor-class-identifier = "a { brace";
  client-hostname "laptop";
}
"""


def test_the_last_block_of_an_address_counts() -> None:
    assert isc("dhcp", ISC, NOW).leases == (WANTED,)
    freed = ISC.replace("state active", "state free")
    assert isc("dhcp", ISC + freed, NOW).leases == ()
    assert isc("dhcp", freed + ISC, NOW).leases == (WANTED,)


def test_a_block_that_is_being_written_changes_nothing_yet() -> None:
    other = ISC.replace("107", "108")
    for cut in range(len("lease 10.10.0.108 {\n"), len(other) - 1):
        told = isc("dhcp", ISC + other[:cut], NOW)
        assert told.leases == (WANTED,)
        assert "being written" in told.trouble


def test_a_block_in_a_block_was_never_finished() -> None:
    told = isc("dhcp", "lease 10.10.0.9 {\n  binding state active;\n" + ISC, NOW)
    assert told.leases == (WANTED,)
    assert told.trouble == "the lease of 10.10.0.9 has no end"


def test_times_may_be_counted_and_leases_endless() -> None:
    counted = ISC.replace("5 2026/11/20 13:00:00", f"epoch {STAMP}; # Fri Nov 20 13:00:00 2026")
    assert isc("dhcp", counted, NOW).leases == (WANTED,)
    (endless,) = isc("dhcp", ISC.replace("5 2026/11/20 13:00:00", "never"), NOW).leases
    assert endless.until is None


def test_a_time_that_is_none_costs_its_lease_only() -> None:
    told = isc("dhcp", ISC.replace("107", "108").replace("13:00:00", "noon") + ISC, NOW)
    assert told.leases == (WANTED,)
    assert "the lease of 10.10.0.108, which ends in line 10, makes no sense" in told.trouble


# --- Kea -------------------------------------------------------------------------------------------------------------

HEAD = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n"
)
ROW = f"10.10.0.107,02:00:00:00:00:07,ff:01:02:0a,3600,{STAMP},1,1,1,laptop,0,,0\n"


def test_the_last_row_of_an_address_counts_and_a_lifetime_of_nothing_deletes() -> None:
    assert kea_csv("dhcp", [HEAD + ROW], NOW).leases == (WANTED,)
    assert kea_csv("dhcp", [HEAD + ROW + ROW.replace(",3600,", ",0,")], NOW).leases == ()
    assert kea_csv("dhcp", [HEAD + ROW + ROW.replace("laptop,0", "laptop,1")], NOW).leases == ()


def test_columns_are_found_by_name_and_a_row_being_written_is_left_out() -> None:
    older = HEAD.replace(",user_context,pool_id", "") + ROW.replace(",0,,0\n", ",0\n")
    assert kea_csv("dhcp", [older], NOW).leases == (WANTED,)
    told = kea_csv("dhcp", [HEAD + ROW + ROW.replace("107", "108")[:30]], NOW)
    assert told.leases == (WANTED,)
    assert told.trouble == "line 3 has no end: it is being written"


def test_a_quotation_mark_hides_nobody() -> None:
    """Kea's file knows no quoting, only its own escapes."""
    rows = (ROW.replace("107", "108").replace("laptop", '"host3'), ROW)
    told = kea_csv("dhcp", [HEAD + "".join(rows)], NOW)
    assert ([it.hostname for it in told.leases], told.trouble) == (['"host3', "laptop"], "")


def test_what_kea_has_escaped_is_told_as_it_was() -> None:
    (lease,) = kea_csv("dhcp", [HEAD + ROW.replace("laptop", "a&#x2cb&#x26&#xc3&#xa9")], NOW).leases
    assert lease.hostname == "a,b&é"


def test_a_field_without_measure_costs_nobody_else_a_lease() -> None:
    told = kea_csv("dhcp", [HEAD + ROW.replace("107", "108").replace("laptop", "x" * 200_000) + ROW], NOW)
    assert WANTED in told.leases


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_a_hostname_ends_no_line(sign: str) -> None:
    """What Python takes for the end of a line could begin a lease of somebody else."""
    forged = ROW.replace("107", "109").replace("00:07", "00:08").rstrip("\n")
    told = kea_csv("dhcp", [HEAD + ROW.replace("laptop", f"x{sign}{forged}{sign}")], NOW)
    assert {it.mac for it in told.leases} <= {LAPTOP}


def test_what_a_clean_up_has_set_aside_is_read_before(tmp_path: Path) -> None:
    file = tmp_path / "kea-leases4.csv"
    (tmp_path / "kea-leases4.csv.2").write_text(HEAD + ROW + ROW.replace("107", "109"))
    file.write_text(HEAD + ROW.replace("107", "109").replace(",3600,", ",0,"))
    found = read_all([LeaseSource("dhcp", "kea", str(file))], clock)
    assert (found.leases, found.gaps) == ((WANTED,), ())


def api(**changed: object) -> dict[str, object]:
    lease = {
        "ip-address": "10.10.0.107", "hw-address": "02:00:00:00:00:07", "client-id": "ff:01:02:0a", "state": 0,
        "cltt": STAMP - 3600, "valid-lft": 3600, "hostname": "laptop.", "subnet-id": 1,
    }  # fmt: skip
    return {"result": 0, "text": "1 IPv4 lease(s) found.", "arguments": {"leases": [{**lease, **changed}]}}


def test_keas_answer_is_leases_or_keas_own_words() -> None:
    assert kea_answer("dhcp", [api()], NOW).leases == (WANTED,)
    assert kea_answer("dhcp", api(state=1), NOW).leases == ()
    assert kea_answer("dhcp", [{"result": 3, "text": "0 IPv4 lease(s) found."}], NOW).leases == ()
    with pytest.raises(ValueError, match="Kea says: 'lease4-get-all' command not supported"):
        kea_answer("dhcp", [{"result": 2, "text": "'lease4-get-all' command not supported."}], NOW)
    for odd in ([1], "x", {"leases": "x"}):
        with pytest.raises(ValueError, match="does not answer like Kea"):
            kea_answer("dhcp", [{"result": 0, "arguments": odd}], NOW)
    with pytest.raises(ValueError, match="does not answer like Kea"):
        kea_answer("dhcp", {"hello": 1}, NOW)


@pytest.mark.parametrize("changed", [{"cltt": "soon"}, {"ip-address": "x"}, {"valid-lft": None}])
def test_an_odd_lease_in_keas_answer_is_said(changed: dict[str, object]) -> None:
    told = kea_answer("dhcp", api(**changed), NOW)
    assert told.leases == ()
    assert told.trouble.startswith("no lease of Kea's")


class Kea(BaseHTTPRequestHandler):
    """Kea's control agent, as far as one command goes."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fine = asked == {"command": "lease4-get-all", "service": ["dhcp4"]}
        fine = fine and self.headers["Authorization"] == "Basic YWRhOnNlY3JldA=="
        self.send_response(200 if fine else 401)
        self.end_headers()
        self.wfile.write(json.dumps([api()]).encode())

    def log_message(self, *_words: object) -> None:
        """Quiet."""


@contextmanager
def kea() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Kea)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_keas_api_over_http_with_a_password() -> None:
    with kea() as url:
        known = read_all([LeaseSource("dhcp", "kea_api", url, "ada", Secret("secret"))], clock)
        unknown = read_all([LeaseSource("dhcp", "kea_api", url)], clock)
    assert (known.leases, known.gaps) == ((WANTED,), ())
    assert unknown.gaps == (Gap("dhcp", "leases", f"{url}: HTTP Error 401: Unauthorized"),)


def test_keas_api_over_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "kea4-ctrl-socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(json.dumps(api()).encode())

        server = threading.Thread(target=answer)
        server.start()
        found = read_all([LeaseSource("dhcp", "kea_api", f"unix:{path}")], clock)
        server.join()
    assert (found.leases, found.gaps) == ((WANTED,), ())


# --- together --------------------------------------------------------------------------------------------------------


def test_a_source_that_is_not_there_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    file = tmp_path / "dnsmasq.leases"
    file.write_text(DNSMASQ + DNSMASQ[:20])
    gone = LeaseSource("gone", "isc", str(tmp_path / "dhcpd.leases"))
    found = read_all([gone, LeaseSource("dhcp", "dnsmasq", str(file))], clock)
    assert found.leases == (WANTED,)
    assert [(it.device, it.table, it.rows) for it in found.readings] == [("dhcp", "leases", 1)]
    assert found.gaps == (
        Gap("gone", "leases", f"{gone.where}: No such file or directory"),
        Gap("dhcp", "leases", f"{file}: read in part: line 2 has no end: it is being written"),
    )


def test_a_defect_of_one_parser_is_a_gap_and_the_others_are_read(tmp_path: Path) -> None:
    """JSON of such a depth is none that anybody has thought of."""
    path, file = tmp_path / "s", tmp_path / "dnsmasq.leases"
    file.write_text(DNSMASQ)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(b"[" * 200_000)

        server = threading.Thread(target=answer)
        server.start()
        sources = [LeaseSource("kea", "kea_api", f"unix:{path}"), LeaseSource("dhcp", "dnsmasq", str(file))]
        found = read_all(sources, clock)
        server.join()
    assert found.leases == (WANTED,)
    assert [it.device for it in found.gaps] == ["kea"]
    assert found.gaps[0].why.startswith(f"unix:{path}: a defect in switchguard: RecursionError")
