"""How soon a block follows its client to another switch when the switches send notifications; measured from its pings.

`switchguard lab run python -m benchmarks.pursuit_latency`, inside a lab. The tables are polled once an hour. A blocked
client trades places with another one of its VLAN; from the first notification to the last ping that is answered at the
new place, and until the old place is free, is what is measured. `--times 5` prints the median and the worst.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.stream_latency import service, summary
from switchguard.edge.ledger import SqlLedger
from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab, LabClient
from switchguard.lab.moves import TRAPS, traded
from switchguard.lab.swift import until

BLOCKED, OTHER = "c08", "c12"
POLLS = "poll: {nat_size: 1h, nat: 1h, tables: 1h, counters: 1h}"
NEWS = f'traps: {{listen: "{TRAPS}", community: {{file: secrets/community}}}}'


def policy(site: Path) -> None:
    file = site / "switchguard.yaml"
    text = re.sub(r"^(poll|traps):.*\n", "", file.read_text(), flags=re.M)
    file.write_text(f"{text}{POLLS}\n{NEWS}\n")


def last_answer(client: LabClient, ledger: SqlLedger) -> float:
    """When the last ping was sent that its gateway answered, up to a second after the new place was recorded."""
    answered, until_s = 0.0, float("inf")
    deadline = time.monotonic() + 20.0
    while time.monotonic() < min(deadline, until_s):
        sent = time.time()
        if client.ping(client.gateway, count=1, interval_s=0.0, wait_s=0.02).received:
            answered = sent
        if until_s == float("inf") and "sw2" in verified(ledger):
            until_s = time.monotonic() + 1.0
    return answered


def verified(ledger: SqlLedger) -> list[str]:
    """The devices that hold it."""
    return [held.slot.device for held in ledger.held() if held.state == "verified"]


def measure(lab: Lab, site: Path) -> dict[str, float]:
    lab.reset()
    lab.greet()
    policy(site)
    client, ledger = lab.client(BLOCKED), SqlLedger(load_site(site).ledger)
    words = [str(Path(sys.executable).with_name("switchguard")), "--site", str(site), "block", "mac", client.mac]
    subprocess.run([*words, "--yes"], check=True, capture_output=True)
    with service(site, None) as log:
        until(ledger.status, f"a first pass, see {log}")
        time.sleep(2.0)
        with traded(lab, BLOCKED, OTHER) as told:
            cut = last_answer(client, ledger)
            until(lambda: verified(ledger) == ["sw2"], "the old place to be free")
            lifted = max(event.at for event in ledger.history(client.mac) if event.what == "verified")
    return {"told_to_cut": cut - told, "told_to_old_place_free": lifted.timestamp() - told}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=1)
    lab, site = Lab.current(), Path(os.environ["SWITCHGUARD_SITE"])
    runs = [measure(lab, site) for _ in range(options.parse_args().times)]
    sys.stdout.write(json.dumps(summary(runs)) + "\n")


if __name__ == "__main__":
    main()
