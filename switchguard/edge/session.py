"""One conversation with one device, whatever it is carried by: SSH, SNMP, NAPALM, or a shell on this very machine.

Transports open when they are first needed, once each, and do not depend on each other: a switch that refuses SSH still
answers SNMP. A transport that was lost stays lost for the rest of the session, so nobody waits twice for one time-out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from switchguard.core.model import Device
from switchguard.edge.napalm_platforms import has_candidates, speaks_eapi, speaks_nxapi
from switchguard.edge.netlink_local import LocalNetlink
from switchguard.edge.packed import packed, unpacked
from switchguard.edge.session_local import LocalShell
from switchguard.edge.session_netmiko import PATIENCE, Cli, Shell, has_shell
from switchguard.edge.session_nxapi import Nxapi
from switchguard.edge.session_snmp import SnmpClient, lacking
from switchguard.edge.snmp_settled import Settled
from switchguard.errors import (
    CommandRefused,
    DeviceError,
    LoginRefused,
    NotConfigured,
    UnexpectedOutput,
    UnknownHostKey,
    Unreachable,
)
from switchguard.ports import Candidate, Endpoint, News, Oid, Session, SnmpValue, Transport

if TYPE_CHECKING:
    from switchguard.edge.session_napalm import Napalm

_LOSSES = (Unreachable, LoginRefused, UnknownHostKey, NotConfigured)
_LOOPBACK = "127.0.0.1"


@contextmanager
def open_session(device: Device, endpoint: Endpoint) -> Iterator[Session]:
    """Nothing is sent before it is asked for; everything is closed at the end, whatever happened."""
    session = DeviceSession(device, endpoint)
    try:
        yield session
    finally:
        session.close()


class _Closes(Protocol):
    def close(self) -> None: ...

    @property
    def alive(self) -> bool: ...


class _Shell(_Closes, Protocol):
    def stream(self, command: str, text: str = "") -> Iterator[bytes]: ...


_T = TypeVar("_T", bound=_Closes)
_Chunk = TypeVar("_Chunk", bytes, memoryview)


class _Lazy(Generic[_T]):
    """Opens when first used; after one of `losses`, every further use raises the same error at once."""

    def __init__(self, opens: Callable[[], _T], losses: tuple[type[DeviceError], ...] = _LOSSES) -> None:
        self._opens, self._losses = opens, losses
        self._open: _T | None = None
        self._lost: DeviceError | None = None

    @contextmanager
    def use(self) -> Iterator[_T]:
        if self._lost is not None:
            raise self._lost
        try:
            if self._open is None:
                self._open = self._opens()
            yield self._open
        except self._losses as error:
            self._lost = error
            raise

    @property
    def fit(self) -> bool:
        """Not lost, and as far as this end can tell still connected; or not opened yet."""
        return self._lost is None and (self._open is None or self._open.alive)

    def close(self) -> None:
        """A connection that does not even close properly is gone all the same."""
        if self._open is not None:
            with suppress(DeviceError):
                self._open.close()
            self._open = None


class DeviceSession:
    def __init__(self, device: Device, endpoint: Endpoint, settled: Settled | None = None) -> None:
        """`settled`: what a former session found, and its SNMP agent says has not changed since."""
        self._device, self._endpoint, self._settled = device, endpoint, settled
        self._local = endpoint.host == "local"
        self._snmp: SnmpClient | None = None
        self._shell: _Lazy[_Shell] = _Lazy(self._open_shell)
        self._cli = _Lazy(self._open_cli, (*_LOSSES, UnexpectedOutput))
        self._napalm = _Lazy(self._open_napalm)
        self._nxapi = _Lazy(self._open_nxapi)
        self._received = 0

    @property
    def device(self) -> Device:
        return self._device

    @property
    def received(self) -> int:
        return self._received

    def speaks(self, transport: Transport) -> bool:
        return not self._missing(transport)

    def ask(self, command: str) -> str:
        if self._has_shell:
            with self._shell.use() as shell:
                return b"".join(self._counted(shell.stream(command))).decode(errors="replace")
        if speaks_eapi(self._device.platform, self._endpoint):
            with self._napalm.use() as napalm:
                answer = napalm.ask(command)
        elif speaks_nxapi(self._device.platform, self._endpoint):
            with self._nxapi.use() as nxapi:
                answer = nxapi.ask(command)
        else:
            with self._cli.use() as cli:
                answer = cli.ask(command)
        self._received += len(answer)
        return answer

    def stream(self, command: str) -> Iterator[bytes]:
        if not self._has_shell:
            yield self.ask(command).encode()
            return
        with self._shell.use() as shell:
            if self._endpoint.compress and not self._local:
                yield from self._packed(shell, command)
            else:
                yield from self._counted(shell.stream(command))

    def _counted(self, chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
        for chunk in chunks:
            self._received += len(chunk)
            yield chunk

    def _packed(self, shell: _Shell, command: str) -> Iterator[bytes]:
        try:
            yield from unpacked(self._device.name, command, self._counted(shell.stream(packed(command))))
        except CommandRefused as error:
            raise CommandRefused(self._device.name, command, error.answer) from error

    def feed(self, command: str, text: str) -> str:
        self._require_shell()
        with self._shell.use() as shell:
            return b"".join(shell.stream(command, text)).decode(errors="replace")

    def configure(self, lines: Sequence[str]) -> str:
        """On a machine with a shell, the lines are commands; the first that fails stops the rest."""
        if self._has_shell:
            return "".join(self.ask(line) for line in lines)
        with self._cli.use() as cli:
            return cli.configure(lines)

    def get(self, oids: Sequence[Oid]) -> Mapping[Oid, SnmpValue | None]:
        return self._agent().get(oids)

    def walk(self, column: Oid) -> Mapping[tuple[int, ...], SnmpValue]:
        return self._agent().walk(column)

    def walk_vlan(self, column: Oid, vlan: int) -> Mapping[tuple[int, ...], SnmpValue]:
        return self._agent().walk(column, vlan)

    def ahead(self, groups: Sequence[Sequence[Oid]]) -> AbstractContextManager[None]:
        return self._agent().ahead(groups)

    def candidate(self, lines: Sequence[str]) -> AbstractContextManager[Candidate]:
        return self._candidate(lines)

    def netlink(self, request: bytes) -> Iterator[memoryview]:
        return self._counted(self._kernel().ask(request))

    def netlink_news(self, groups: Sequence[int], tick_s: float) -> Iterator[News]:
        return self._kernel().news(groups, tick_s)

    def follow(self, command: str, tick_s: float) -> Iterator[bytes]:
        if self._local:
            raise NotConfigured(self._device.name, "commands that do not end are followed over SSH only")
        self._require_shell()
        self._require("cli")
        with closing(Shell(self._device.name, self._endpoint)) as shell:
            yield from shell.follow(command, tick_s)

    def _kernel(self) -> LocalNetlink:
        self._require("netlink")
        return LocalNetlink(self._device.name, PATIENCE * self._endpoint.timeout_s)

    def rest(self) -> bool:
        """Between two uses: whether the session may be used again. NAPALM is closed, since on IOS it leaves a line of
        its own in the running configuration for as long as it is open."""
        self._napalm.close()
        if self._snmp is not None and not self._snmp.alive:
            self._snmp = None
        return all(transport.fit for transport in (self._napalm, self._cli, self._nxapi, self._shell))

    def close(self) -> None:
        for transport in (self._napalm, self._cli, self._nxapi, self._shell):
            transport.close()

    @contextmanager
    def _candidate(self, lines: Sequence[str]) -> Iterator[Candidate]:
        with self._napalm.use() as napalm, napalm.candidate(lines) as candidate:
            yield candidate

    @property
    def _has_shell(self) -> bool:
        return self._local or has_shell(self._device.platform)

    def _require_shell(self) -> None:
        if not self._has_shell:
            raise NotConfigured(self._device.name, f"{self._device.platform} has no shell to feed a script to")

    def _missing(self, transport: Transport) -> str:
        """What keeps a transport from being used, as a sentence; "" if nothing does."""
        endpoint = self._endpoint
        match transport:
            case "snmp":
                return "the site gives no SNMP access" if endpoint.snmp is None else lacking(endpoint.snmp)
            case "candidate" if self._local or not has_candidates(self._device.platform):
                return f"NAPALM makes no candidates for {self._device.platform}"
            case "netlink":
                return "" if self._local else "the kernel that we run on is not this device's"
            case "cli" if self._local:
                return ""
        if not endpoint.username:
            return "the site gives no user name for SSH"
        if endpoint.password is None and speaks_nxapi(self._device.platform, endpoint):
            return f"the site gives no password for {endpoint.username!r}, and NX-API takes no key"
        if endpoint.password is None and endpoint.key_file is None:
            return f"the site gives neither password nor key for {endpoint.username!r}"
        return ""

    def _require(self, transport: Transport) -> None:
        if missing := self._missing(transport):
            raise NotConfigured(self._device.name, missing)

    def _open_shell(self) -> _Shell:
        self._require("cli")
        if self._local:
            return LocalShell(self._device.name, PATIENCE * self._endpoint.timeout_s)
        return Shell(self._device.name, self._endpoint)

    def _open_cli(self) -> Cli:
        self._require("cli")
        return Cli(self._device, self._endpoint)

    def _open_nxapi(self) -> Nxapi:
        self._require("cli")
        return Nxapi(self._device.name, self._endpoint)

    def _open_napalm(self) -> "Napalm":
        from switchguard.edge.session_napalm import Napalm  # takes half a second, and may never be needed

        self._require("candidate")
        return Napalm(self._device, self._endpoint)

    def _agent(self) -> SnmpClient:
        self._require("snmp")
        if self._snmp is None:
            assert self._endpoint.snmp is not None  # noqa: S101 - required above
            host = _LOOPBACK if self._local else self._endpoint.host
            self._snmp = SnmpClient(self._device.name, host, self._endpoint.snmp, settled=self._settled)
        return self._snmp
