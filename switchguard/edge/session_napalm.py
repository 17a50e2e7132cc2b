"""Candidate, compare, commit through NAPALM: the diff that a person sees comes from the device itself.

What NAPALM 5.2 does not tell, and this file does (read in napalm/ios/ios.py and napalm/eos/eos.py):

- IOS takes a merge for done unless the terminal says "Invalid input detected"; we read along, and every other `%` line
  raises.
- Where IOS makes no merge diff, NAPALM returns the file itself under a banner, or (when the lines lack a final `end`)
  advice as text. Neither is a diff, so both raise.
- EOS and IOS refuse commit messages, so none is sent.
- NX-OS over NX-API accepts any certificate: its driver gets `session_nxapi` as its transport.
- pyeapi accepts any as well: its connection gets a line of ours.
- EOS keeps a session whose client is gone, and while one is pending NAPALM waits 10 s and gives up: see `eos_sessions`.
- Junos needs more than a line of care: see `napalm_junos`, which is loaded for it alone (PyEZ takes a second).
- Its rollback replaces the whole configuration, other people's work included, so it is not offered.

Loading a candidate on IOS writes a file to flash; committing saves the running configuration on IOS and EOS.
"""

import http.client
import io
import logging
import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from typing import Any

import napalm
import pyeapi.eapilib
import scp
from napalm.base import exceptions as failures

from switchguard.core.model import Device
from switchguard.edge import tls
from switchguard.edge.eos_sessions import abandoned, give_up, new_name
from switchguard.edge.napalm_platforms import napalm_driver, verifies_tls
from switchguard.edge.session_netmiko import PATIENCE, REFUSED, SSH_ERRORS, attentive, netmiko_options, ssh_meaning
from switchguard.edge.session_nxapi import Nxapi
from switchguard.errors import CommandRefused, DeviceError, LoginRefused, UnexpectedOutput, Unreachable
from switchguard.ports import Candidate, Endpoint

_OVER_NETMIKO = ("ios", "nxos_ssh")
_MERGE = re.compile(r"copy \S+ running-config")
_GARBAGE = (http.client.HTTPException, LookupError, TypeError, AttributeError, ValueError)
"""What the drivers stumble over when an answer has another shape than they expect."""

# What pyeapi logs is a traceback of what it raises as well.
logging.getLogger("pyeapi").setLevel(logging.CRITICAL)


class Napalm:
    """One open NAPALM driver; candidates follow one another."""

    def __init__(self, device: Device, endpoint: Endpoint) -> None:
        self._device, self._endpoint = device.name, endpoint
        self._tape = io.BytesIO()
        self._lost = False
        self._session: str | None = None
        name = napalm_driver(device.platform, endpoint)
        self._has_sessions = name == "eos"
        self._junos = import_module("switchguard.edge.napalm_junos") if name == "junos" else None
        with self._junos.ssh_config(endpoint) if self._junos else nullcontext() as ssh_config:
            self._driver: Any = napalm.get_network_driver(name)(
                endpoint.host,
                endpoint.username,
                endpoint.password.reveal() if endpoint.password else "",
                timeout=PATIENCE * endpoint.timeout_s,
                optional_args=self._options(name, ssh_config),
            )
            self._open(name)

    def _open(self, name: str) -> None:
        if self._junos:
            self._junos.be_strict(self._driver, self._endpoint)
        if name == "nxos":
            self._driver_over(Nxapi(self._device, self._endpoint))
            return
        if self._has_sessions and verifies_tls("arista_eos", self._endpoint.napalm_options):
            self._driver.transport_class = partial(_verified, self._device, self._endpoint.ca_file)
        with self._translated("login"):
            self._driver.open()
            if self._over_netmiko(name):
                attentive(self._driver.device)

    def _driver_over(self, nxapi: Nxapi) -> None:
        """Instead of its own transport, which its rollback insists on."""
        driver = self._driver
        driver.device, driver._send_config = nxapi, nxapi.configure
        driver.rollback = lambda: nxapi.rollback(driver.rollback_cfg)

    @contextmanager
    def candidate(self, lines: Sequence[str]) -> Iterator[Candidate]:
        """Discards what was not committed. A device that we lost cannot be told to: EOS drops the session itself, on
        IOS an unused file stays on flash."""
        loaded = _Loaded(self, tuple(lines))
        try:
            loaded.load()
            yield loaded
        except Unreachable:
            raise
        except BaseException:
            with suppress(DeviceError):
                loaded.discard()
            raise
        loaded.discard()

    def ask(self, command: str) -> str:
        """One exec command over eAPI (`speaks_eapi`). CommandRefused in the device's words."""
        with self._translated(command):
            return str(self._driver.device.run_commands([command], encoding="text")[0]["output"])

    @property
    def alive(self) -> bool:
        return not self._lost

    def close(self) -> None:
        """On IOS this takes back NAPALM's `file prompt quiet`; if the connection was lost, that line stays."""
        give_up(self._session)
        with self._translated("logout"):
            if not self._lost:
                self._driver.close()
            elif self._junos:
                self._junos.hang_up(self._driver)
            elif hasattr(self._driver.device, "disconnect"):
                self._driver.device.read_timeout_override = 1.0
                self._driver.device.disconnect()

    def load(self, text: str) -> None:
        """From a file of ours: NAPALM leaves its own behind in /tmp when the transfer fails."""
        with tempfile.NamedTemporaryFile("w", prefix="candidate-") as file:
            file.write(text)
            file.flush()
            with self._translated("loading the candidate"):
                if self._has_sessions:
                    self._open_session()
                self._driver.load_merge_candidate(filename=file.name)

    def _open_session(self) -> None:
        """A session of our own name, and none left of ours whose process was killed."""
        give_up(self._session)
        for name in abandoned(self._pending()):
            self._driver._run_commands([f"configure session {name} abort"])
        self._session = self._driver.config_session = new_name()

    def _pending(self) -> list[str]:
        sessions = self._driver._run_commands(["show configuration sessions"])[0]["sessions"]
        return [name for name, session in sessions.items() if session["state"] == "pending"]

    def compare(self) -> str:
        with self._translated("comparing the candidate"):
            return str(self._driver.compare_config())

    def commit(self) -> None:
        start = self._tape.seek(0, io.SEEK_END)
        with self._translated("commit"):
            self._driver.commit_config()
        self._tape.seek(start)
        said = _MERGE.split(self._tape.read().decode(errors="replace"))[-1]
        if refusals := [line.group(0).strip() for line in re.finditer(REFUSED, said, re.MULTILINE)]:
            raise CommandRefused(self._device, "commit", "; ".join(refusals))

    def discard(self) -> None:
        with self._translated("discarding the candidate"):
            if self._junos:
                self._junos.discard(self._driver)
            else:
                self._driver.discard_config()

    def no_diff(self, why: str) -> CommandRefused:
        return CommandRefused(self._device, "show archive config incremental-diffs", why)

    def _over_netmiko(self, name: str) -> bool:
        return name in _OVER_NETMIKO or self._endpoint.napalm_options.get("transport") == "ssh"

    def _options(self, name: str, ssh_config: str | None) -> dict[str, Any]:
        given = dict(self._endpoint.napalm_options)
        if self._junos:
            ssh = netmiko_options(self._device, self._endpoint)
            return {"port": ssh["port"], "key_file": ssh["key_file"], **given, "ssh_config_file": ssh_config}
        if not self._over_netmiko(name):
            secret = self._endpoint.enable_password
            return given | ({"enable_password": secret.reveal()} if secret and name == "eos" else {})
        ours = netmiko_options(self._device, self._endpoint)
        ours |= {"read_timeout_override": PATIENCE * self._endpoint.timeout_s}
        return ours | given | {"ssh_strict": True, "session_log": self._tape}

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """What PyEZ raises, where it is there."""
        return self._junos.FAILURES if self._junos else ()

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            with self._explained(doing):
                yield
        except Unreachable:
            self._lost = True
            raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (*self._failures, failures.NapalmException, pyeapi.eapilib.EapiError, NotImplementedError) as error:
            raise self._meaning(error, doing) from error
        except scp.SCPException as error:
            raise CommandRefused(self._device, doing, f"SCP: {error}") from error
        except SSH_ERRORS as error:
            raise ssh_meaning(self._device, self._endpoint, error, doing) from error
        except _GARBAGE as error:
            what = f"{doing}: an answer that NAPALM cannot read, {type(error).__name__}"
            raise UnexpectedOutput(self._device, str(error), what) from error

    def _meaning(self, error: Exception, doing: str) -> DeviceError:
        if self._junos:
            explained: DeviceError = self._junos.meaning(self._device, self._endpoint, error, doing)
            return explained
        text = str(error).strip()
        match error:
            case failures.ConnectAuthError():
                return LoginRefused(self._device, text)
            case failures.SessionLockedException():
                why = f"a configuration session is pending there: {', '.join(self._pending()) or 'just ended'}"
                return CommandRefused(self._device, doing, f"{why}; `configure session NAME abort` ends it")
            case pyeapi.eapilib.ConnectionError() if "Unauthorized" in text:
                return LoginRefused(self._device, f"eAPI refuses user {self._endpoint.username!r} with this password")
            case pyeapi.eapilib.ConnectionError(__context__=ssl.SSLCertVerificationError() as why):
                return tls.distrusted(self._device, str(self._endpoint.host), why)
            case pyeapi.eapilib.ConnectionError(__context__=TimeoutError()):
                return Unreachable(self._device, f"{doing}: no answer within {PATIENCE * self._endpoint.timeout_s:g} s")
            case pyeapi.eapilib.ConnectionError() if "Socket error" not in text:
                return UnexpectedOutput(self._device, text, f"{doing}: no eAPI answer")
            case pyeapi.eapilib.ConnectionError():
                return Unreachable(self._device, f"{doing}: {text}")
            case failures.ConnectionException() if error.__context__ is not None:
                return ssh_meaning(self._device, self._endpoint, error, doing)
            case failures.ConnectionException() | failures.CommandTimeoutException():
                return Unreachable(self._device, f"{doing}: {text}")
        return CommandRefused(self._device, doing, text or type(error).__name__)


def _verified(device: str, ca_file: str | None, **options: Any) -> Any:
    """pyeapi's connection, over a line to a switch whose certificate was verified before anything is said."""
    connection = pyeapi.eapilib.HttpsEapiConnection(**options)
    line = connection.transport

    def connect() -> None:
        line.sock = tls.connect(device, line.host, line.port, ca_file, line.timeout)

    line.connect = connect
    return connection


class _Loaded:
    """The Candidate that a driver of ours gets."""

    def __init__(self, napalm: Napalm, lines: tuple[str, ...]) -> None:
        self._napalm, self._lines = napalm, lines
        self._committed = False

    def load(self) -> None:
        self._napalm.load("\n".join(self._lines) + "\n")

    def diff(self) -> str:
        text = self._napalm.compare()
        if "incremental-diff failed" in text:
            raise self._napalm.no_diff("this IOS makes no diff of a merge")
        if "obscure 'error 5'" in text:
            raise self._napalm.no_diff("error 5; the lines lack a final `end`")
        return "" if text.startswith("! No changes specified") else text

    def commit(self) -> None:
        self._napalm.commit()
        self._committed = True

    def discard(self) -> None:
        if not self._committed:
            self._napalm.discard()
