"""VPN users for real: WireGuard and OpenVPN tunnels in the lab, people told apart by key, penalties by address."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from tunnels import MANY, Vpn, vpn, why_no_tunnels

from switchguard.edge.vpn.management import ask_status
from switchguard.edge.vpn.openvpn import read_status
from switchguard.edge.vpn.reading import CannotRead
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.ports import Secret

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(why_no_tunnels()), reason=why_no_tunnels() or "-")]

ZONE = """\
  vpn:
    networks: [10.99.0.0/24]
    enforce_at: gateway
    ladder: [{cap: 50}]
    users: {wireguard: {device: gw, interface: wg0, names: people.txt}}
exempt:
"""


@pytest.fixture
def campus(desk: Desk) -> Iterator[Vpn]:
    desk.policy("exempt:\n", ZONE)
    with vpn(desk.lab, desk.site) as made:
        yield made


def capped(desk: Desk) -> set[str]:
    """Addresses with a cap of ours on the gateway."""
    return {
        address
        for line in desk.elements()
        for address in line.replace(",", " ").split()
        if address.startswith("10.99.")
    }


def clients(desk: Desk) -> dict[str, int]:
    """VPN users -> their sessions, as `top` has them."""
    found = desk.types("top", "--json").object["clients"]
    return {it["client"]: it["sessions"] for it in found if it["client"].startswith("user:")}


def test_a_swarm_in_the_tunnel_costs_its_user_sessions_and_nobody_else(lab: Lab, desk: Desk, campus: Vpn) -> None:
    alice = campus.connect("alice", "c05", "10.99.0.7")
    bob = campus.connect("bob", "c06", "10.99.0.8")
    lab.swarm(alice.client, peers=700, seconds=60)
    campus.try_sessions(bob, 7000)
    lab.wait_for(lambda: clients(desk).get("user:alice", 0) > 500, "the swarm in the table", patience_s=30)
    for _ in range(2):
        assert desk.types("apply", "--yes").status == 0
    (record,) = desk.ledger.penalties()
    assert (record.verdict.client, record.state) == ("user:alice", "verified")
    assert capped(desk) == {alice.address}
    lab.quiet()
    assert campus.try_sessions(bob, 8000) >= MANY
    assert campus.try_sessions(alice, 8000) <= 50

    # Alice leaves, and her address is given to carol, who has done nothing.
    campus.disconnect(alice)
    carol = campus.connect("carol", "c07", alice.address)
    assert desk.types("apply", "--yes").status == 0
    assert capped(desk) == set()
    assert campus.try_sessions(carol, 9000) >= MANY
    told = desk.types("penalties", "--json").object["penalties"]
    assert [(it["client"], it["penalty"]["kind"]) for it in told] == [("user:alice", "cap")]

    # The penalty waits for alice, at whatever address she comes back with.
    campus.connect("alice", "c08", "10.99.0.9")
    assert desk.types("apply", "--yes").status == 0
    assert capped(desk) == {"10.99.0.9"}


def test_a_person_is_meant_by_name_on_the_command_line(desk: Desk, campus: Vpn) -> None:
    campus.connect("a.smith", "c05", "10.99.0.7")
    refused = desk.types("block", "user", "a.smith", "--by", "mac", "--yes")
    assert refused.status == 3
    assert "a.smith is known by a session, which has neither MAC nor port" in refused.err + refused.out
    assert desk.types("block", "user", "nobody", "--yes").status == 3
    assert desk.types("limit", "user", "a.smith", "--rate", "5Mbps", "--yes").status == 0
    assert desk.types("cap", "user", "a.smith", "--sessions", "20", "--yes").status == 0
    story = desk.types("explain", "a.smith", "--json")
    assert {it["penalty"]["kind"] for it in story.object["penalties"]} == {"limit", "cap"}
    assert story.object["client"]["addresses"] == ["10.99.0.7"]
    assert desk.types("unblock", "user", "a.smith", "--yes").status == 0
    assert capped(desk) == set()


def test_a_gateway_without_the_tunnel_is_a_gap(desk: Desk, campus: Vpn) -> None:
    desk.policy("interface: wg0", "interface: wg1")
    checked = desk.types("check", "--connect", "--json")
    assert checked.status == 1
    assert {"device": "vpn/wireguard", "table": "users", "why": "there is no WireGuard interface wg1"} in (
        checked.object["gaps"]
    )


# --- OpenVPN ---------------------------------------------------------------------------------------------------------

KEYS = """
set -e
make_key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
make_key ca
openssl req -x509 -new -key ca.key -days 30 -subj /CN=ca -out ca.crt
for name in server alice; do
    make_key $name
    openssl req -new -key $name.key -subj /CN=$name -out $name.csr
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out $name.crt
done
mkdir ccd
echo ifconfig-push 10.98.0.7 255.255.255.0 >ccd/alice
echo secret >password
"""


@pytest.fixture
def openvpn(lab: Lab, tmp_path: Path) -> Iterator[str]:
    """A server on gw with one client, and where its management interface is."""
    subprocess.run(["sh", "-c", KEYS], cwd=tmp_path, check=True, capture_output=True)
    where = f"{tmp_path}/management"
    common = ["openvpn", "--dev", "tun", "--ca", "ca.crt", "--verb", "3"]
    server = (
        "--server 10.98.0.0 255.255.255.0 --topology subnet --port 21194 --dh none --cert server.crt --key server.key "
        f"--client-config-dir ccd --management {where} unix password --status status 1 --status-version 2"
    )
    client = f"--client --remote {lab.client('c05').gateway} 21194 --nobind --cert alice.crt --key alice.key"
    running = []
    try:
        for namespace, words in (("gw", server), ("c05", client)):
            with entered(namespace), (tmp_path / f"{namespace}.log").open("w") as log:
                running.append(subprocess.Popen([*common, *words.split()], cwd=tmp_path, stdout=log, stderr=log))
        status = tmp_path / "status"
        lab.wait_for(lambda: status.exists() and "CLIENT_LIST,alice" in status.read_text(), "alice", patience_s=30)
        yield where
    finally:
        for process in running:
            process.terminate()
            process.wait()


def test_a_real_openvpn_tells_its_people_in_its_file_and_over_its_management_interface(openvpn: str) -> None:
    by_file = read_status((Path(openvpn).parent / "status").read_text())
    asked = read_status(ask_status(f"unix:{openvpn}", Secret("secret"), 5))
    for read in (by_file, asked):
        (alice,) = read.told
        assert (alice.user, [str(it) for it in alice.addresses]) == ("alice", ["10.98.0.7"])
        assert read.complete


@pytest.mark.parametrize(
    ("password", "why"),
    [(None, "wants a password"), (Secret("wrong"), "does not accept the password")],
    ids=["none", "wrong"],
)
def test_a_real_openvpn_keeps_its_secret(openvpn: str, password: Secret | None, why: str) -> None:
    with pytest.raises(CannotRead, match=why):
        ask_status(f"unix:{openvpn}", password, 5)
    assert json.dumps(str(ask_status(f"unix:{openvpn}", Secret("secret"), 5)))
