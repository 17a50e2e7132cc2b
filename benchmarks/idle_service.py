"""The service with 100 devices and nothing to do: what it costs while it watches, and whether it grows.

`python -m benchmarks.idle_service`. A site of 99 simulated switches (snmp_agents) and this machine as the gateway, in a
network namespace of its own, with the usual policy; `switchguard run` polls it forty times as fast as by default, so
that 90 s have as many polls as an hour. Prints JSON: the processor time of that hour as a share of a core, resident
memory, and how much more of it there is at the end than after a quarter of it, when everything has been done often.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.snmp_agents import PORT, address_of
from benchmarks.snmp_switches import agents

HOUR_S = 3600.0
USUALLY_S = {"nat_size": 10, "nat": 60, "tables": 300, "counters": 60}
"""The defaults of `poll`."""
TICKS = os.sysconf("SC_CLK_TCK")


def write_site(site: Path, switches: int, faster: float) -> None:
    """As many keys as an ordinary site has."""
    (site / "switchguard.yaml").write_text(
        f"poll: {{{', '.join(f'{name}: {every / faster:.3f}s' for name, every in USUALLY_S.items())}}}\n"
        "link: {device: gw1, interface: lo, capacity: 200Mbps}\n"
        "zones: {clients: {networks: [10.0.0.0/8], enforce_at: access}}\n"
        "rules:\n"
        "  swarm: {kind: naughty_factor, above: 0.8, penalty: {block: mac, lasts: 2h}}\n"
        "  hog: {kind: share_of_link, above: 12%, penalty: {limit: 64kbps, lasts: 1h}}\n"
        "  daily: {kind: quota, bytes: 1GB, per: day, penalty: {limit: 64kbps, lasts: 1d}}\n"
    )
    host = "{}: {{hostname: {}, platform: {}, data: {{switchguard: {{{}}}}}}}\n"
    snmp = f"role: access, snmp: {{community: {{file: community}}, port: {PORT}}}"
    hosts = [host.format("gw1", "local", "linux", "role: gateway, lan_interfaces: [lo]")]
    hosts += [host.format(f"sw{it:03}", address_of(it), "arista_eos", snmp) for it in range(switches)]
    (site / "hosts.yaml").write_text("".join(hosts))
    (site / "community").write_text("public\n")


# --- a process from outside ------------------------------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    """User and system time (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def measure(site: Path, seconds: float, warm_up_s: float) -> dict[str, float]:
    """`seconds` stand for an hour. Before them, the first passes: what is read once is no part of idling."""
    command = [str(Path(sys.executable).with_name("switchguard")), "--site", str(site), "run"]
    with (site / "log").open("w") as log, subprocess.Popen(command, stderr=log) as service:
        try:
            time.sleep(warm_up_s)
            began, busy, memory = time.monotonic(), cpu_s(service.pid), [resident_mb(service.pid)]
            while time.monotonic() < began + seconds:
                time.sleep(1.0)
                memory.append(resident_mb(service.pid))
            spent, most = cpu_s(service.pid) - busy, threads(service.pid)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(10)
    settled = memory[len(memory) // 4]
    return {
        "core_share": spent / HOUR_S,
        "cpu_s": spent,
        "memory_mb": max(memory),
        "grown_mb": memory[-1] - settled,
        "growth": memory[-1] / settled,
        "threads": most,
    }


def passes(site: Path) -> dict[str, object]:
    """What the service says of itself: a benchmark of a service that does not poll would be a good one."""
    said = subprocess.run(
        [str(Path(sys.executable).with_name("switchguard")), "--site", str(site), "status", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(said.stdout)["last_pass"]
    return {
        "tables": len(last["costs"]),
        "gaps": len(last["gaps"]),
        "pass_s": last["pass_s"],
        "skipped": last["skipped"],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--devices", type=int, default=100)
    options.add_argument("--seconds", type=float, default=90.0, help="for an hour's polls")
    options.add_argument("--warm-up", type=float, default=10.0)
    options.add_argument("--inside", action="store_true", help="the namespace is ours already")
    chosen = options.parse_args()
    if not chosen.inside:
        command = [sys.executable, "-m", "benchmarks.idle_service", "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(["unshare", "--user", "--map-root-user", "--net", *command]).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder, agents(chosen.devices - 1, 1, 0.010):
        site = Path(folder)
        write_site(site, chosen.devices - 1, HOUR_S / chosen.seconds)
        found = measure(site, chosen.seconds, chosen.warm_up)
        sys.stdout.write(json.dumps({**found, **passes(site)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
