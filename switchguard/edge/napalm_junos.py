"""What NAPALM's driver for Junos leaves open: host keys that are checked, a candidate that is not ours, and exceptions.

Read in napalm/junos/junos.py of NAPALM 5.2, PyEZ 2.8 and ncclient 0.7:

- NAPALM lets PyEZ accept any host key. ncclient checks against the file that an OpenSSH configuration names, so it gets
  one of a single line.
- Where the lock is refused, because somebody else has changes in the candidate, `discard_config` would throw those
  away: it is only called while we hold the lock.
- NAPALM translates a time-out while connecting, and nothing else; PyEZ takes an unknown host key for a refused
  connection.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from jnpr.junos import exception as pyez
from ncclient.transport import errors as transport

from switchguard.edge.session_netmiko import unknown_key
from switchguard.errors import CommandRefused, DeviceError, LoginRefused, Unreachable
from switchguard.ports import Endpoint

FAILURES = (pyez.ConnectError, pyez.RpcError, transport.TransportError)


@contextmanager
def ssh_config(endpoint: Endpoint) -> Iterator[str]:
    """An OpenSSH configuration that says where the known hosts are, and nothing else."""
    with tempfile.NamedTemporaryFile("w", prefix="ssh-config-") as file:
        if endpoint.known_hosts:
            file.write(f'Host *\n  UserKnownHostsFile "{endpoint.known_hosts}"\n')
            file.flush()
        yield file.name


def be_strict(driver: Any, endpoint: Endpoint) -> None:
    """Before it is opened: known host keys only, and no other key of ours than the one that the site names."""
    driver.device._hostkey_verify = True
    driver.device._look_for_keys = driver.device._allow_agent = False
    driver.device._conn_open_timeout = endpoint.timeout_s


def discard(driver: Any) -> None:
    if driver.locked:
        driver.discard_config()


def hang_up(driver: Any) -> None:
    """On a connection that is lost anyway."""
    with suppress(*FAILURES, OSError, EOFError):
        driver.device._conn._session.close()


def meaning(device: str, endpoint: Endpoint, error: BaseException, doing: str) -> DeviceError:
    """The first telling exception of the chain decides."""
    where = f"{endpoint.host}:{endpoint.napalm_options.get('port') or endpoint.port or 22}"
    for cause in _chain(error):
        match cause:
            case transport.SSHUnknownHostError():
                return unknown_key(device, endpoint)
            case pyez.ConnectAuthError() | transport.AuthenticationError():
                return LoginRefused(device, f"{where} refuses user {endpoint.username!r}")
            case pyez.RpcTimeoutError() | pyez.ConnectTimeoutError():
                return Unreachable(device, f"{where} did not answer in time during {doing!r}")
            case pyez.ConnectClosedError() | transport.SessionError():
                return Unreachable(device, f"{where} closed the connection during {doing!r}")
            case pyez.RpcError():
                return CommandRefused(device, doing, _said(cause))
            case pyez.ConnectRefusedError():
                return Unreachable(device, f"{where} refuses NETCONF (set system services netconf ssh)")
    return Unreachable(device, f"{where}: {str(error).strip() or type(error).__name__} during {doing!r}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Causes, innermost first, back to an earlier failure that somebody was already handling."""
    if error is not None and not isinstance(error, DeviceError):
        yield from _chain(error.__cause__ or error.__context__)
        yield error


def _said(error: Any) -> str:
    """Every <rpc-error> in the device's words, and what it is about."""
    told = error.errs if isinstance(error.errs, list) else []
    lines = [" ".join(filter(None, (one.get("edit_path"), one.get("bad_element"), one.get("message")))) for one in told]
    said = "; ".join(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
    return said or str(error.message or type(error).__name__)
