"""An operator's desk in the lab: an own site, the command line as a process, and the network as it really is."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pyeapi
import yaml

from switchguard.edge.ledger import SqlLedger
from switchguard.edge.session import open_session
from switchguard.edge.settings import load_site
from switchguard.lab.control import Lab
from switchguard.lab.kernel import entered
from switchguard.lab.topology import PASSWORD, USERNAME
from switchguard.ports import Session

SWITCHGUARD = str(Path(sys.executable).with_name("switchguard"))
INTERNET_HOST = "198.18.0.1"
PATIENCE_S = 60.0
"""Nothing here takes nearly as long, unless it hangs."""

DOCUMENTED = set(re.findall(r"[a-z_]+", (Path(__file__).parents[2] / "docs" / "json.md").read_text()))
BY_NAME = frozenset({"parts", "detail", "capacity", "seconds", "translations", "streams"})
"""Objects whose keys are names of things: factors, devices, tables."""
OF_PENALTIES = frozenset({"by", "sessions", "bits_per_second", "within", "up_to"})

ON_CORE, ON_SW1, ON_SW2 = "c07", "c08", "c12"
"""Clients, by the switch that the lab's zones have them blocked on: VLAN 10 at the core, VLAN 20 where they are."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert found["schema"] == 1
        return found

    @property
    def undocumented(self) -> set[str]:
        """Keys of the object that docs/json.md does not know."""
        return set(keys(self.object)) - DOCUMENTED - OF_PENALTIES


@dataclass(slots=True)
class Running:
    """A command that goes on meanwhile."""

    process: subprocess.Popen[str]
    log: Path

    def events(self) -> list[dict[str, Any]]:
        """What the service has logged so far, a line still being written left out."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1] if line.startswith("{")]

    def tells(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events() if found["event"] == event]

    def end(self, how: signal.Signals) -> int:
        """Its status; a service that does not end within PATIENCE_S fails the test."""
        self.process.send_signal(how)
        status = self.process.wait(timeout=PATIENCE_S)
        assert "Traceback" not in self.log.read_text()
        return status


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if not (isinstance(inner, dict) and name in BY_NAME):
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def session_with(name: str) -> AbstractContextManager[Session]:
    """A conversation with a device of the lab, as its own site has it."""
    site = load_site(Path(os.environ["SWITCHGUARD_SITE"]))
    device = next(device for device in site.devices if device.name == name)
    return open_session(device, site.endpoints[name])


@dataclass(frozen=True, slots=True)
class Desk:
    lab: Lab
    site: Path

    # --- the command line

    def types(self, *words: str, patience_s: float = PATIENCE_S, **environment: str) -> Said:
        """A whole command, without a terminal. Whatever goes wrong, an operator never sees a traceback."""
        done = subprocess.run(
            self._command(words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
            env=os.environ | environment,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert "defect" not in done.stderr, done.stderr
        return Said(done.returncode, done.stdout, done.stderr)

    def answers(self, answer: str, *words: str, meanwhile: Callable[[], object] = lambda: None) -> Said:
        """A whole command at a terminal, where its question gets this answer; what happens while it asks."""
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            process = subprocess.Popen(self._command(words), stdin=theirs, stdout=theirs, stderr=theirs)
            os.close(theirs)
            out = b""
            with suppress(OSError):  # EIO: nobody is left at the other end
                while said := terminal.read(4096):
                    out += said
                    if out.endswith(b"[y/N]: "):
                        meanwhile()
                        terminal.write(f"{answer}\n".encode())
            return Said(process.wait(timeout=PATIENCE_S), out.decode().replace("\r\n", "\n"), "")

    def types_each(self, commands: Sequence[Sequence[str]], at_once: int = 3) -> list[Said]:
        """As several operators would, at the same time."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda words: self.types(*words), commands))

    @contextmanager
    def begins(self, *words: str) -> Iterator[Running]:
        """A command that is killed at the latest when nobody wants it any more. What it said goes with a failure."""
        log = self.site / f"{words[0]}.log"
        with log.open("w") as paper:
            process = subprocess.Popen(self._command(words), stdout=paper, stderr=paper, text=True)
        try:
            yield Running(process, log)
        except BaseException as error:
            error.add_note(f"{log.name}: {log.read_text()[-4000:]}")
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _command(self, words: Sequence[str]) -> list[str]:
        return [SWITCHGUARD, "--site", str(self.site), *words]

    # --- the site

    def policy(self, before: str, after: str) -> None:
        """Another word in switchguard.yaml."""
        file = self.site / "switchguard.yaml"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    def impatient(self) -> None:
        """A device that hangs costs seconds, not a minute."""
        defaults = self.site / "defaults.yaml"
        defaults.write_text(f"{defaults.read_text()}    timeout: 2s\n")

    def host(self, name: str, **keys: object) -> None:
        """Keys of a host, below `data: {switchguard: ...}`."""
        file = self.site / "hosts.yaml"
        hosts = yaml.safe_load(file.read_text())
        hosts[name].setdefault("data", {}).setdefault("switchguard", {}).update(keys)
        file.write_text(yaml.safe_dump(hosts))

    def port(self, name: str, number: int) -> None:
        """Where a host's SSH is."""
        file = self.site / "hosts.yaml"
        hosts = yaml.safe_load(file.read_text())
        hosts[name]["port"] = number
        file.write_text(yaml.safe_dump(hosts))

    # --- what is true

    @property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.site / "state" / "switchguard.db")

    def states(self) -> Mapping[str, str]:
        """MAC -> state of its standing penalty."""
        standing = (record for record in self.ledger.penalties() if record.released_at is None)
        return {str(record.verdict.macs[0]): record.state for record in standing}

    def offline(self) -> set[str]:
        """Clients that the internet does not answer now, by their own pings."""
        return {name for name, echoes in self.lab.ping_all(INTERNET_HOST).items() if not echoes.received}

    def mac(self, client: str) -> str:
        return self.lab.client(client).mac

    def ask(self, switch: str, command: str) -> list[str]:
        """What a switch answers to one command: EOS by eAPI, IOS by SSH, neither by way of switchguard."""
        found = self.lab.topology.switch(switch)
        if found.make.front_end == "eos":
            said: str = self._core().enable([command], encoding="text")[0]["result"]["output"]
            return said.splitlines()
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(self.lab.directory / "site" / "known_hosts"))
            client.connect(str(found.management), 22, USERNAME, PASSWORD, allow_agent=False, look_for_keys=False)
            _, answer, _ = client.exec_command(command)
            return answer.read().decode().splitlines()

    def _core(self) -> Any:
        core = self.lab.topology.switch("core")
        return pyeapi.connect("https", str(core.management), USERNAME, PASSWORD, return_node=True)

    def pending(self) -> bool:
        """Whether a configuration session is open on the core switch."""
        return any(line.endswith(" pending") for line in self.ask("core", "show configuration sessions"))

    def running(self, switch: str) -> list[str]:
        return self.ask(switch, "show running-config")

    def configure_core(self, *lines: str) -> None:
        """As another administrator would."""
        self._core().config(list(lines))

    def ours(self) -> list[str]:
        """Every line of ours on any device: static drops, access lists, policies, elements of our sets."""
        words = ("mac address-table static ", "SWITCHGUARD", " deny ")
        lines = [line for switch in self.lab.topology.switches for line in self.running(switch.name)]
        return [*(line for line in lines if any(word in line for word in words)), *self.elements()]

    def elements(self) -> list[str]:
        """Of the sets of penalties in the gateway's packet filter; not what its counters remember of sessions."""
        with entered(self.lab.topology.gateway.name):
            found = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        return [line.strip() for line in found.splitlines() if "elements" in line and "ct count" not in line]


def own_site(lab: Lab, directory: Path) -> Desk:
    """A copy of the lab's site, with a ledger of its own."""
    shutil.copytree(lab.directory / "site", directory, ignore=shutil.ignore_patterns("state"))
    return Desk(lab, directory)
