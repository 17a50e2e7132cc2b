"""How soon a swarm is found and cut when its sessions are followed as they begin; measured from the client's own pings.

`switchguard lab run python -m benchmarks.stream_latency`, inside a lab. The tables are polled once a minute, so that
nobody is found by a poll. For each place of enforcement (`gateway:address:c07`: where, what is blocked, who begins): a
client starts a swarm; when it crosses the threshold is taken from the gateway's kernel by a window of our own, when it
is found from the service's log, when it is cut from the last ping that was answered, and all is done when the block has
been read back and the client's sessions are gone. `--times 10` prints the median and the worst of ten evenings.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median

from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.swift import cut_at_once, follows, until


@contextmanager
def service(site: Path, namespace: str | None) -> Iterator[Path]:
    """`switchguard run`; yields its log."""
    log = site.parent / "stream.log"
    command = [str(Path(sys.executable).with_name("switchguard")), "--site", str(site), "run"]
    with log.open("w") as file:
        if namespace is None:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        else:
            with entered(namespace):
                process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def policy(site: Path, place: str, penalty: str, local: bool) -> None:
    file = site / "switchguard.yaml"
    text = re.sub(r"^(poll|detect|stream):.*\n", "", file.read_text(), flags=re.M)
    text = re.sub(r"enforce_at: \w+", f"enforce_at: {place}", text)
    text = re.sub(r"penalty: {.*}", f"penalty: {{block: {penalty}, lasts: 2h}}", text)
    file.write_text(text + "poll: {nat_size: 60s, nat: 60s, tables: 5m}\ndetect: stream\n")
    if local:
        hosts = site / "hosts.yaml"
        hosts.write_text(re.sub(r"(gw:\n  hostname: )\S+", r"\1local", hosts.read_text()))
        groups = site / "groups.yaml"  # the lab's agent does not listen on loopback
        groups.write_text(re.sub(r"(role: gateway\n) +snmp:.*\n", r"\1", groups.read_text()))


def measure(lab: Lab, site: Path, place: str, penalty: str, client: str, local: bool) -> dict[str, float]:
    lab.reset()
    lab.greet()
    policy(site, place, penalty, local)
    above = load_site(site).policy.rules[0].above
    with service(site, "gw" if local else None) as log:
        until(lambda: follows(log), "the stream")
        time.sleep(3.0)
        found = asdict(cut_at_once(lab, log, client, above))
    return {**found, "crossed_to_cut": found["crossed_to_found"] + found["found_to_cut"]}


def summary(runs: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """The median of every number, and the worst."""
    numbers = {name: sorted(run[name] for run in runs) for name in runs[0]}
    worst = {name: round(values[-1], 2) for name, values in numbers.items()}
    return {"runs": len(runs), **{name: round(median(it), 2) for name, it in numbers.items()}, "worst": worst}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--local", action="store_true", help="the service runs on the gateway")
    options.add_argument("--times", type=int, default=1, help="so many evenings for each place")
    options.add_argument("places", nargs="*", default=["gateway:address:c07", "core:mac:c07", "access:mac:c07"])
    chosen = options.parse_args()
    lab, site = Lab.current(), Path(os.environ["SWITCHGUARD_SITE"])
    for place in chosen.places:
        where, penalty, client = place.split(":")
        runs = [measure(lab, site, where, penalty, client, chosen.local) for _ in range(chosen.times)]
        head = {"place": where, "gateway": "local" if chosen.local else "ssh"}
        sys.stdout.write(json.dumps(head | summary(runs)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
