"""`show ip nat limits all-host` from a file: sessions per host, and no more than it says."""

from ipaddress import ip_network
from pathlib import Path
from typing import cast

import pytest

from switchguard import plugins
from switchguard.core.model import NatUsage
from switchguard.edge.captures import Kind, choose, open_capture
from switchguard.ports import NatTable, ReadsCapture

DRIVER = cast(ReadsCapture, plugins.driver("cisco_xe"))
RECORDED = Path(__file__).parents[1] / "recordings/cisco_xe/limits"
SEVERAL = (RECORDED / "several_hosts/limits.txt").read_text()


def read(text: str, *inside: str) -> NatTable:
    return DRIVER.read_capture([text.encode()], "limits", [ip_network(it) for it in inside])


def sessions(usages: tuple[NatUsage, ...]) -> dict[str, int]:
    return {str(usage.address): usage.sessions for usage in usages}


def test_hosts_are_ranked_by_what_they_use() -> None:
    table = read(SEVERAL)
    assert list(sessions(table.usages).items()) == [("10.10.0.7", 500), ("10.20.0.15", 212), ("10.10.0.8", 41)]
    assert (table.entries, table.not_clients, table.unparsed, table.complete) == (753, 0, 0, True)


def test_what_is_not_told_is_not_invented() -> None:
    busiest = read(SEVERAL).usages[0]
    assert (busiest.remotes, busiest.unanswered_share, busiest.active_share, busiest.bytes_in) == (0, None, None, None)


def test_hosts_outside_of_the_named_networks_are_nobody_s() -> None:
    table = read(SEVERAL, "10.10.0.0/24")
    assert sessions(table.usages) == {"10.10.0.7": 500, "10.10.0.8": 41}
    assert (table.entries, table.not_clients) == (753, 212)


def test_the_sample_of_a_real_router_is_read_whole() -> None:
    table = read((RECORDED / "genie/limits.txt").read_text())
    assert (sessions(table.usages), table.unparsed, table.complete) == ({"15.0.0.5": 1}, 0, True)


@pytest.mark.parametrize(
    "text",
    [
        SEVERAL.partition("Total")[0],
        SEVERAL.replace("10.10.0.8       500         41         0\n", ""),
        SEVERAL.rstrip("\n"),
    ],
)
def test_a_table_that_is_cut_off_says_so(text: str) -> None:
    assert not read(text).complete


@pytest.mark.parametrize(
    "line", ["10.10.0.300     500         41         0", "10.10.0.8       500         41", "--More--x"]
)
def test_a_line_that_is_no_row_is_counted_and_quoted(line: str) -> None:
    table = read(SEVERAL.replace("10.10.0.8       500         41         0", line))
    assert (table.unparsed, table.samples) == (1, ((9, line),))


def test_it_is_recognised(tmp_path: Path) -> None:
    """As the first platform that prints it."""
    file = tmp_path / "limits.txt"
    file.write_text(SEVERAL)
    with open_capture(str(file)) as opened:
        assert choose(opened, None, None) == Kind("cisco_ios", "limits", 6)
        assert choose(opened, "cisco_xe", None) == Kind("cisco_xe", "limits", 6)
