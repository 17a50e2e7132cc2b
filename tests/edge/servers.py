"""Real and misbehaving devices on 127.0.0.1: OpenSSH, net-snmp, a command line, eAPI, and an SNMP agent that errs."""

import asyncio
import json
import os
import socket
import subprocess
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

HANG, DROP = "\x00hang", "\x00drop"
"""Answers of a command line that are no text: say nothing more; hang up in the middle."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], ready: bytes, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process, once it has written `ready` to standard error; ended afterwards."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env)
    assert process.stderr is not None
    try:
        heard = b""
        for line in process.stderr:
            heard += line
            if ready in line:
                break
        else:
            raise RuntimeError(heard.decode())
        draining = threading.Thread(target=process.stderr.read)
        draining.start()
        yield
    finally:
        process.terminate()
        process.wait(10)
        draining.join(10)
        process.stderr.close()


# --- OpenSSH ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sshd:
    port: int
    key_file: str
    known_hosts: str


def make_key(file: Path) -> str:
    """An ed25519 key pair; returns the public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file.with_name(f"{file.name}.pub").read_text().strip()


@contextmanager
def sshd(directory: Path) -> Iterator[Sshd]:
    """OpenSSH as the current user, who may log in with `key_file`; `known_hosts` has its key."""
    port = free_port()
    host_key = make_key(directory / "host_key")
    (directory / "authorized_keys").write_text(make_key(directory / "client_key") + "\n")
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nPasswordAuthentication yes\nPermitRootLogin yes\n"
    )
    with _running(_as_daemon(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]), b"Server listening"):
        yield Sshd(port, str(directory / "client_key"), str(known_hosts))


def _as_daemon(command: list[str]) -> list[str]:
    """As root, sshd wants an empty /run/sshd; a /run of its own leaves no trace of it."""
    if os.geteuid() or Path("/run/sshd").is_dir():
        return command
    setup = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"'
    return ["unshare", "--mount", "/bin/sh", "-c", setup, "sh", *command]


# --- net-snmp --------------------------------------------------------------------------------------------------------

SNMP_USERS = {
    "md5des": ("MD5", "DES"),
    "shaaes": ("SHA", "AES"),
    "sha224aes192": ("SHA-224", "AES-192"),
    "sha256aes": ("SHA-256", "AES"),
    "sha384aes256": ("SHA-384", "AES-256"),
    "sha512aes256": ("SHA-512", "AES-256"),
    "shaaes256": ("SHA", "AES-256"),
}
AUTH_KEY, PRIV_KEY = "authentic-phrase", "private-phrase"


@contextmanager
def snmpd(directory: Path, port: int, contexts: Mapping[str, int] | None = None) -> Iterator[int]:
    """Community `public` and SNMP_USERS; `directory` keeps its engine ID and boot counter. `contexts` of SNMPv3 lead to
    what agents at these ports say of the bridge MIB and Cisco's; "" is the one without a name."""
    users = "".join(
        f"createUser {name} {auth} {AUTH_KEY} {priv} {PRIV_KEY}\nrouser {name} priv\n"
        for name, (auth, priv) in SNMP_USERS.items()
    )
    config = directory / "snmpd.conf"
    config.write_text(f"rocommunity public 127.0.0.1\n{users}{_in_contexts(contexts or {})}")
    kept = directory / "persistent"
    env = {**os.environ, "SNMP_PERSISTENT_DIR": str(kept), "MIBS": "", "SNMPCONFPATH": f"{directory}:{kept}"}
    pid_file = directory / "pid"  # snmpd deletes it at the end, as root even a device node
    command = ["/usr/sbin/snmpd", "-f", "-Le", "-p", str(pid_file), f"udp:127.0.0.1:{port}"]
    with _running(command, b"NET-SNMP version", env):
        yield port


def _in_contexts(contexts: Mapping[str, int]) -> str:
    """`rouser` opens the context without a name only, as the plain group line of IOS does."""
    groups = "".join(f"group everybody usm {name}\n" for name in SNMP_USERS)
    access = f'{groups}view all included .1\naccess everybody "" usm priv prefix all none none\n'
    proxies = "".join(
        f"proxy {f'-Cn {name} ' if name else ''}-v 2c -c public 127.0.0.1:{port} .1.3.6.1.{subtree}\n"
        for name, port in contexts.items()
        for subtree in ("2.1.17", "4.1.9")
    )
    return access + proxies if contexts else ""


@contextmanager
def relay(behind: int, instead: Callable[[bytes], list[bytes]]) -> Iterator[int]:
    """Between us and an agent at port `behind`: what it sends on for each answer, in this order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.bind(("127.0.0.1", 0))

        def serve() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.connect(("127.0.0.1", behind))
                asking.settimeout(0.2)
                while question_and_peer := served.recvfrom(65535):
                    question, peer = question_and_peer
                    if not question:
                        return
                    asking.send(question)
                    try:
                        answer = asking.recv(65535)
                    except TimeoutError:
                        continue
                    for datagram in instead(answer):
                        served.sendto(datagram, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(served.getsockname()[1])
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping:
                stopping.sendto(b"", served.getsockname())
            thread.join(10)


# --- an SNMP agent that errs -----------------------------------------------------------------------------------------

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Said:
    """An answer: rows, or an error-status of RFC 3416, or octets that are no SNMP at all."""

    rows: tuple[tuple[Numbers, object], ...] = ()
    """Plain numbers become INTEGER; other values are of pysnmp's types."""
    status: int = 0
    index: int = 0
    octets: bytes = b""


Answers = Callable[[tuple[Numbers, ...], int], Said | None]
"""What an agent says when asked for these objects with so many repetitions (0: GET); None is silence."""


def mib(objects: Mapping[Numbers, object], most: int = 100) -> Answers:
    """An agent that knows these objects, and never puts more than `most` into an answer."""
    oids = sorted(objects)

    def answer(asked: tuple[Numbers, ...], repetitions: int) -> Said:
        if not repetitions:
            return Said(tuple((oid, objects.get(oid, v2c.NoSuchObject())) for oid in asked))
        start = bisect_right(oids, asked[0])
        found = oids[start : start + min(repetitions, most)]
        rows = tuple((oid, objects[oid]) for oid in found)
        return Said(rows or ((asked[0], v2c.EndOfMibView()),))

    return answer


@contextmanager
def agent(answers: Answers) -> Iterator[int]:
    """Speaks SNMPv2c with any community; the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve_snmp, args=(served, answers))
        thread.start()
        try:
            yield int(served.getsockname()[1])
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping:
                stopping.sendto(b"", served.getsockname())
            thread.join(10)


def _serve_snmp(served: socket.socket, answers: Answers) -> None:
    while True:
        octets, peer = served.recvfrom(65535)
        if not octets:
            return
        request, _ = decoder.decode(octets, asn1Spec=v2c.Message())
        pdu = v2c.apiMessage.get_pdu(request)
        oids = tuple(tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(pdu))
        said = answers(oids, _repetitions(pdu))
        if said is not None:
            served.sendto(said.octets or _response(request, said), peer)


def _repetitions(pdu: object) -> int:
    if isinstance(pdu, v2c.GetBulkRequestPDU):
        return int(v2c.apiBulkPDU.get_max_repetitions(pdu))
    return 1 if isinstance(pdu, v2c.GetNextRequestPDU) else 0


def _response(request: object, said: Said) -> bytes:
    response = v2c.apiMessage.get_response(request)
    pdu = v2c.apiMessage.get_pdu(response)
    v2c.apiPDU.set_error_status(pdu, said.status)
    v2c.apiPDU.set_varbinds(pdu, v2c.apiPDU.get_varbinds(v2c.apiMessage.get_pdu(request)))
    if said.index:
        v2c.apiPDU.set_error_index(pdu, said.index)
    if said.status == 0:
        typed = [(oid, v2c.Integer32(value) if isinstance(value, int) else value) for oid, value in said.rows]
        v2c.apiPDU.set_varbinds(pdu, typed)
    return bytes(encoder.encode(response))


# --- a vendor's command line -----------------------------------------------------------------------------------------


@dataclass
class CommandLine:
    """An IOS-like terminal: user `net`, password `secret`; what it says to a command is in `answers`."""

    answers: Mapping[str, str] = field(default_factory=dict)
    prompt: str = "sw1#"
    prompts: Mapping[str, str] = field(default_factory=lambda: {"configure terminal": "sw1(config)#", "end": "sw1#"})
    """Command -> the prompt from then on."""
    leave: str = "exit"
    flash: Path | None = None
    heard: list[str] = field(default_factory=list)
    port: int = 0
    known_hosts: str = ""

    async def serve(self, process: "asyncssh.SSHServerProcess[str]") -> None:
        prompt = self.prompt
        process.stdout.write(f"\r\n{prompt}")
        async for line in process.stdin:
            command = line.strip()
            if command:
                self.heard.append(command)
            process.stdout.write(f"{command}\r\n")
            if command == self.leave:
                break
            prompt = self.prompts.get(command, prompt)
            answer = self._answer(command)
            process.stdout.write(answer.replace(HANG, "").replace(DROP, "").replace("\n", "\r\n"))
            if DROP in answer:
                break
            if HANG not in answer:
                process.stdout.write(prompt)
        process.exit(0)

    def _answer(self, command: str) -> str:
        if command in self.answers:
            return self.answers[command]
        if self.flash is None:
            return ""
        return self._file_answer(command)

    def _file_answer(self, command: str) -> str:
        """What NAPALM asks about files; SCP puts them into `flash`."""
        assert self.flash is not None
        file = self.flash / command.rsplit("/", 1)[-1]
        match command.split():
            case ["dir"] | ["dir", "flash:"]:
                return "Directory of flash:/\n\n122185728 bytes total (64032768 bytes free)\n"
            case ["dir", path]:
                return f"Directory of {path}\n" if file.exists() else f"%Error opening {path} (File not found)\n"
            case ["verify", "/md5", path]:
                digest = md5(file.read_bytes(), usedforsecurity=False).hexdigest()
                return f"verify /md5 ({path}) = {digest}\n"
            case ["show", "running-config", *_]:
                return "ip scp server enable\n"
            case ["show", "archive"]:
                return "Archive feature not enabled\n"
        return ""


class _Login(asyncssh.SSHServer):
    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("net", "secret")


class _Flash(asyncssh.SFTPServer):
    """Files by their last name, whatever file system they are sent to."""

    def __init__(self, chan: "asyncssh.SSHServerChannel[bytes]", directory: Path) -> None:
        super().__init__(chan)
        self._directory = directory

    def map_path(self, path: bytes) -> bytes:
        return os.fsencode(self._directory / os.path.basename(os.fsdecode(path)))


@contextmanager
def command_line(device: CommandLine, directory: Path) -> Iterator[CommandLine]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    flash = device.flash
    stop: asyncio.Future[None] | None = None
    loop = asyncio.new_event_loop()
    listening = threading.Event()
    connections: list[asyncssh.SSHServerConnection] = []

    async def main() -> None:
        nonlocal stop
        stop = loop.create_future()
        server = await asyncssh.create_server(
            lambda: _Login(connections),
            "127.0.0.1",
            0,
            server_host_keys=[key],
            process_factory=device.serve,
            line_editor=False,
            sftp_factory=(lambda chan: _Flash(chan, flash)) if flash else False,
            allow_scp=flash is not None,
        )
        device.port = server.get_port()
        listening.set()
        await stop
        server.close()
        await server.wait_closed()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        assert listening.wait(10)
        known_hosts = directory / f"known_hosts_{device.port}"
        known_hosts.write_text(f"[127.0.0.1]:{device.port} {key.export_public_key().decode()}")
        device.known_hosts = str(known_hosts)
        yield device
    finally:
        loop.call_soon_threadsafe(lambda: stop.set_result(None) if stop else None)
        thread.join(10)
        loop.close()


@contextmanager
def tcp(greeting: bytes) -> Iterator[int]:
    """Accepts one connection after another, says `greeting` and nothing more; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []
        port = int(listener.getsockname()[1])

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                if stopping.is_set():
                    return
                connection.sendall(greeting)

        stopping = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            stopping.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join(10)
            for connection in accepted:
                connection.close()


# --- eAPI ------------------------------------------------------------------------------------------------------------


@dataclass
class Eapi:
    """Arista's command API over HTTP. `answers`: command (without session name) -> text, or an error's sentence."""

    answers: Mapping[str, str | Exception] = field(default_factory=dict)
    body: bytes | None = None
    """Says this, whatever is asked."""
    heard: list[str] = field(default_factory=list)
    port: int = 0

    def respond(self, authorization: str, request: bytes) -> tuple[int, bytes]:
        if authorization != "Basic bmV0OnNlY3JldA==":  # net:secret
            return 401, b"Unable to authenticate user: Bad username/password combination"
        if self.body is not None:
            return 200, self.body
        params = json.loads(request)["params"]
        commands = [command if isinstance(command, str) else command["cmd"] for command in params["cmds"]]
        self.heard += commands
        results: list[object] = []
        for number, command in enumerate(commands, 1):
            answer = self.answers.get(command.split(" switchguard-")[0], "")
            if isinstance(answer, Exception):
                message = f"CLI command {number} of {len(commands)} '{command}' failed: {answer}"
                error = {"code": 1002, "message": message, "data": [*results, {"errors": [str(answer)]}]}
                return 200, json.dumps({"jsonrpc": "2.0", "id": "1", "error": error}).encode()
            results.append({"output": answer, "version": "4.30.1F", "sessions": {}})
        return 200, json.dumps({"jsonrpc": "2.0", "id": "1", "result": results}).encode()


@contextmanager
def eapi(device: Eapi) -> Iterator[Eapi]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-length"]))
            status, body = device.respond(self.headers.get("Authorization", ""), request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        device.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield device
        finally:
            server.shutdown()
            thread.join(10)
