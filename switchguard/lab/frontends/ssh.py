"""An SSH server as a network device has one: a login with a password, then a shell or single commands.

What is typed, what is answered and when it is over is the front end's own business; see `Shell`.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import asyncssh

from switchguard.lab.frontends.faults import SessionCut
from switchguard.lab.frontends.start import Options

CONTROL_Z = "\x1a"
_ERASE = "\b\x7f"
_LONGEST_LINE = 2048
_NO_LINE = "\x03"
"""Ctrl-C: forget what was typed."""

Ask = Callable[[str, bool], Awaitable[str]]
"""Print a question, read one line; the flag says whether it is echoed."""


class Shell(Protocol):
    """One login."""

    @property
    def prompt(self) -> str: ...

    @property
    def over(self) -> bool: ...

    async def answer(self, line: str) -> str:
        """What one line prints. SessionCut ends the connection without another word."""


class Terminal:
    """Characters in, lines out: echo, erasing, and everything typed ahead kept for later."""

    def __init__(self, process: asyncssh.SSHServerProcess[str]) -> None:
        self._process = process
        self._ahead = ""
        self._unsent = ""
        self._after_return = False

    def write(self, text: str) -> None:
        """Kept until there is nothing more to say: a packet for every echoed character would be too many."""
        self._unsent += text.replace("\n", "\r\n")

    def flush(self) -> None:
        if self._unsent:
            self._process.stdout.write(self._unsent)
            self._unsent = ""

    async def ask(self, question: str, echo: bool) -> str:
        self.write(question)
        return await self.line(echo)

    async def line(self, echo: bool = True) -> str:
        """One line without its end, echoed before anything is done. EOFError when nobody will type any more."""
        typed = await self._typed(echo)
        self.flush()
        return typed

    async def _typed(self, echo: bool) -> str:
        typed = ""
        while True:
            character = await self._character()
            if character in "\r\n":
                self.write("\n")
                return typed
            if character == CONTROL_Z:
                self.write("^Z\n")
                return CONTROL_Z
            if character == _NO_LINE:
                self.write("^C\n")
                return ""
            if character in _ERASE:
                typed, erased = typed[:-1], "\b \b" if typed else ""
                self.write(erased)
            elif character.isprintable() and len(typed) < _LONGEST_LINE:
                typed += character
                self.write(character if echo else "")

    async def _character(self) -> str:
        """A line end of two characters counts once."""
        while True:
            character = await self._next()
            is_second = character == "\n" and self._after_return
            self._after_return = character == "\r"
            if not is_second:
                return character

    async def _next(self) -> str:
        while not self._ahead:
            self.flush()
            try:
                self._ahead = await self._process.stdin.read(4096)
            except (asyncssh.BreakReceived, asyncssh.SignalReceived, asyncssh.TerminalSizeChanged):
                continue
            if not self._ahead:
                raise EOFError
        character, self._ahead = self._ahead[0], self._ahead[1:]
        return character


class _Login(asyncssh.SSHServer):
    def __init__(self, server: "SshServer") -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._server.accepts(username, password)


class SshServer:
    """All logins to one device. `shell` makes one for a user, `restart` is a power cut; `files`, if any, is what
    SCP may reach; `subsystems` are by the name that SSH asks for."""

    def __init__(
        self,
        name: str,
        passwords: dict[str, str],
        host_key: Path,
        shell: Callable[[str, Ask], Shell],
        restart: Callable[[], None],
        files: Callable[["asyncssh.SSHServerChannel[bytes]"], asyncssh.SFTPServer] | None = None,
        subsystems: Mapping[str, Callable[[asyncssh.SSHServerProcess[str]], Awaitable[None]]] | None = None,
    ) -> None:
        self.passwords = passwords
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._name, self._host_key, self._shell, self._restart, self._files = name, host_key, shell, restart, files
        self._subsystems = subsystems or {}

    async def start(self, host: str, port: int) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Login(self),
            host,
            port,
            server_host_keys=[_host_key(self._host_key)],
            process_factory=self._serve,
            sftp_factory=self._files,
            allow_scp=self._files is not None,
            line_editor=False,
            encoding="utf-8",
            errors="replace",
        )

    def accepts(self, username: str, password: str) -> bool:
        return self.passwords.get(username) == password

    def reload(self) -> None:
        """The device restarts: its state is lost, every session is cut without another word."""
        self._restart()
        for connection in list(self.connections):
            connection.abort()

    async def _serve(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """The boundary of one login: whatever goes wrong in it ends it, and nothing else."""
        connection = process.channel.get_connection()
        try:
            await self._converse(process, connection.get_extra_info("username"))
        except (SessionCut, EOFError, BrokenPipeError, ConnectionError):
            connection.abort()
        except Exception as error:  # noqa: BLE001  see above
            print(f"{self._name}: {error!r}", file=sys.stderr, flush=True)  # noqa: T201  the front end's log
            connection.abort()

    async def _converse(self, process: asyncssh.SSHServerProcess[str], user: str) -> None:
        if subsystem := self._subsystems.get(process.subsystem or ""):
            await subsystem(process)
            return
        terminal = Terminal(process)
        shell = self._shell(user, terminal.ask)
        if process.command:
            terminal.write(_whole_lines(await shell.answer(process.command)))
            terminal.flush()
            process.exit(0)
            return
        terminal.write("\n")
        while not shell.over:
            terminal.write(shell.prompt)
            terminal.write(_whole_lines(await shell.answer(await terminal.line())))
        process.exit(0)


def _whole_lines(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _host_key(path: Path) -> asyncssh.SSHKey:
    """The key of this file, made when there is none; the public half is beside it for known_hosts."""
    if not path.exists():
        key = asyncssh.generate_private_key("ssh-ed25519")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        key.write_private_key(str(path))
        key.write_public_key(f"{path}.pub")
    return asyncssh.read_private_key(str(path))


async def forever(server: SshServer, given: Options) -> None:
    """Listens where it was told to, and reloads when that is asked for."""
    await server.start(given.host, given.port)
    while True:
        await given.faults.reload_asked()
        server.reload()
        given.faults.reload_done()
