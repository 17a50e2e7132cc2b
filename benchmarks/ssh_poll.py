"""What a poll over SSH costs beside `ssh host conntrack -L >/dev/null`: a real table of 65,536 entries, a real sshd.

`python -m benchmarks.ssh_poll`, as root. Fills a table in namespaces of its own, starts OpenSSH there, and takes turns:
the command, a poll with a session that was opened for it, a poll with a session that is kept, and the last one with
`compress: true`. Prints medians and ratios as JSON; of the compressed poll also how many octets came, and how slow the
link must be for it to be worth while.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.local_dump import fill
from switchguard import plugins
from switchguard.core.model import Device, Role
from switchguard.edge.session import open_session
from switchguard.ports import Endpoint, ReadsNat, Session

GATEWAY = Device("gw1", "linux", Role.GATEWAY)
PORT = 2222
DUMP = "conntrack -L -o extended"


@contextmanager
def sshd(directory: Path) -> Iterator[Endpoint]:
    """OpenSSH on a loopback address, for root, with keys of its own."""
    keys = {name: directory / name for name in ("host", "client")}
    for key in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = {name: (directory / f"{name}.pub").read_text() for name in keys}
    known = directory / "known_hosts"
    known.write_text(f"[127.0.0.1]:{PORT} {public['host']}")
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{PORT}\nHostKey {keys['host']}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {directory}/client.pub\nPermitRootLogin yes\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE)
    try:
        assert server.stderr is not None  # noqa: S101 - asked for above
        while b"Server listening" not in (line := server.stderr.readline()):
            if not line:
                raise SystemExit("sshd does not start")
        yield Endpoint("127.0.0.1", PORT, "root", key_file=str(keys["client"]), known_hosts=str(known), timeout_s=60)
    finally:
        server.terminate()
        server.wait(10)


def ssh(endpoint: Endpoint, command: str) -> list[str]:
    options = (f"UserKnownHostsFile={endpoint.known_hosts}", "BatchMode=yes", "LogLevel=ERROR")
    named = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", "-i", str(endpoint.key_file), "-p", str(PORT), *named, "root@127.0.0.1", command]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(count: int, rounds: int, endpoint: Endpoint) -> dict[str, object]:
    fill(count)
    driver = plugins.driver("linux")
    if not isinstance(driver, ReadsNat):
        raise SystemExit("the linux driver reads no translations")

    def afresh() -> None:
        with open_session(GATEWAY, endpoint) as session:
            driver.nat(session)

    with (
        open_session(GATEWAY, endpoint) as kept,
        open_session(GATEWAY, replace(endpoint, compress=True)) as packed,
    ):
        held = driver.nat(kept)
        ways: dict[str, Callable[[], object]] = {
            "command": lambda: subprocess.run(
                ssh(endpoint, DUMP), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
            ),
            "afresh": afresh,
            "kept": lambda: driver.nat(kept),
            "compressed": lambda: driver.nat(packed),
        }
        times = [{name: timed(work) for name, work in ways.items()} for _ in range(rounds + 1)][1:]
        plain, zipped = (_octets(kept, command) for command in (DUMP, f"{DUMP} | gzip -1"))
    seconds = {name: statistics.median(each[name] for each in times) for name in ways}
    saved = 8 * (plain - zipped) / max(seconds["compressed"] - seconds["kept"], 0.001)
    return {
        "entries": sum(usage.sessions for usage in held),
        **{f"{name}_s": round(value, 3) for name, value in seconds.items()},
        "ratio": round(statistics.median(each["afresh"] / each["command"] for each in times), 3),
        "kept_ratio": round(statistics.median(each["kept"] / each["command"] for each in times), 3),
        "octets": plain,
        "compressed_octets": zipped,
        "compress_below_mbps": round(saved / 1e6),
    }


def _octets(session: Session, command: str) -> int:
    return sum(map(len, session.stream(command)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=65_536)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--inside", action="store_true", help="the namespaces are ours already")
    chosen = options.parse_args()
    if not chosen.inside:
        if os.geteuid():
            raise SystemExit("sshd wants to be root")
        setup = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
        inner = [sys.executable, "-m", "benchmarks.ssh_poll", "--inside", *sys.argv[1:]]
        outer = ["unshare", "--net", "--mount", "/bin/sh", "-c", setup, "sh"]
        raise SystemExit(subprocess.run([*outer, *inner]).returncode)
    Path("/proc/sys/net/netfilter/nf_conntrack_acct").write_text("1\n")
    with TemporaryDirectory(prefix="switchguard-bench-") as directory, sshd(Path(directory)) as endpoint:
        sys.stdout.write(json.dumps(measure(chosen.entries, chosen.rounds, endpoint), indent=1) + "\n")


if __name__ == "__main__":
    main()
