"""The gateway as switchguard meets it: sshd with a known key, conntrack with octets, a table with a limit."""

import subprocess

import paramiko
import pytest

from switchguard.lab.control import Lab
from switchguard.lab.topology import PASSWORD, TABLE_LIMIT, USERNAME

pytestmark = pytest.mark.lab


def over_ssh(lab: Lab, command: str) -> str:
    site = lab.directory / "site"
    options = ["-i", str(site / "secrets" / "operator_key"), "-o", f"UserKnownHostsFile={site / 'known_hosts'}"]
    where = f"{USERNAME}@{lab.topology.gateway.management}"
    words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", *options, where, command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_conntrack_over_ssh_has_octets_both_ways(lab: Lab) -> None:
    lab.swarm("c07", peers=100, seconds=60)
    lab.wait_for(lambda: lab.sessions("c07") >= 100, "a swarm")
    row = next(line for line in over_ssh(lab, "conntrack -L -s 10.10.0.107").splitlines() if line.startswith("udp"))
    assert row.count(" bytes=") == row.count(" packets=") == 2
    assert "delta-time=" in row


def test_the_table_tells_its_limit(lab: Lab) -> None:
    assert over_ssh(lab, "cat /proc/sys/net/netfilter/nf_conntrack_max") == f"{TABLE_LIMIT}\n"


def test_the_operator_may_change_the_packet_filter(lab: Lab) -> None:
    over_ssh(lab, "nft add table inet tried && nft delete table inet tried")


def test_reset_takes_away_what_others_put_into_the_packet_filter(lab: Lab) -> None:
    over_ssh(lab, "nft add table inet left_behind")
    lab.reset()
    assert over_ssh(lab, "nft list tables") == "table ip lab\n"


def test_a_password_opens_a_shell_that_finds_its_programs(lab: Lab) -> None:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.directory / "site" / "known_hosts"))
        client.connect(
            str(lab.topology.gateway.management),
            username=USERNAME,
            password=PASSWORD,
            allow_agent=False,
            look_for_keys=False,
        )
        _, answer, _ = client.exec_command("bash -lc 'conntrack -C'")
        assert answer.read().strip().isdigit()


def test_a_wrong_password_is_refused(lab: Lab) -> None:
    where = str(lab.topology.gateway.management)
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.directory / "site" / "known_hosts"))
        with pytest.raises(paramiko.AuthenticationException):
            client.connect(where, username=USERNAME, password="guessed", allow_agent=False, look_for_keys=False)
