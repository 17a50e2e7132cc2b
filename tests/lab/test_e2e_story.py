"""The evening that switchguard is for, from end to end, as `switchguard lab demo --json` tells it."""

import pytest
from desk import ON_CORE, Desk

from switchguard.lab.control import Lab
from switchguard.lab.demo import Evening

pytestmark = pytest.mark.lab


@pytest.mark.timeout(300)
def test_the_demo_finds_cuts_finds_again_and_releases(lab: Lab, desk: Desk) -> None:
    """How long the cut took, and how well the limit was met, depend on the machine; the demo's status tells."""
    said = desk.types("lab", "demo", "--json", patience_s=240.0, SWITCHGUARD_SITE=str(desk.site))
    told = said.object
    assert told.pop("schema") == 1
    assert (said.status == 0) == Evening(**told).as_it_should_be
    assert told["seconds"].keys() == {"swarm_to_detected", "detected_to_cut", "total"}
    assert told["sessions_before"] > 1000
    assert 0.8 < told["factor"] <= 1.0
    assert "+mac address-table static 0200.0000.0007 vlan 10 drop" in told["diff"].splitlines()
    found = {
        "detected": True,
        "client_mac": lab.client(ON_CORE).own_mac,
        "location": {"device": "sw1", "port": "Gi0/7", "vlan": 10},
        "sessions_after": 0,
        "diff_source": "device",
        "cut": True,
        "collateral": 0,
        "redetected_after_mac_change": True,
        "released": True,
    }
    assert {name: told[name] for name in found} == found
    assert (desk.offline(), desk.ours()) == (set(), [])
