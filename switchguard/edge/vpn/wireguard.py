"""WireGuard's peers: `wg show all dump` (wg(8)), tab-separated, five fields of an interface and nine of a peer.

    wg0  PRIVATE-KEY  PUBLIC-KEY  51820  off
    wg0  PUBLIC-KEY  PRESHARED-KEY  192.0.2.7:51820  10.99.0.7/32,2001:db8:99::7/128  1763639422  1204  1900  25

A key is a person, and its allowed IPs are the person's addresses: the kernel takes packets from them in this key's
tunnel only. WireGuard knows no sessions; who has not renewed the handshake for three minutes sends nothing (the
protocol's REJECT_AFTER_TIME is 180 s), and counts as not connected. The machine's own clock is asked with the dump.

The dump has private keys, so they are cut out before it leaves the machine, of a line of another version everything but
the interface, and no line of it is ever repeated.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, outside, person, stamp

COMMAND = (
    "dump=$(wg show all dump) && date +%s && printf '%s\\n' \"$dump\" | "
    "awk -F'\\t' -v OFS='\\t' '"
    'NF == 5 { $2 = "-" } NF == 9 { $3 = "-" } NF != 5 && NF != 9 { for (i = 2; i <= NF; i++) $i = "-" } { print }\''
)
REJECT_AFTER = timedelta(seconds=180)
_INTERFACE, _PEER = 5, 9


def read_peers(text: str, interface: str, names: Mapping[str, str], idle: timedelta) -> Read:
    """What `COMMAND` printed. CannotRead if the interface is not there, or the dump is none."""
    clock, _, dump = text.partition("\n")
    try:
        now = stamp(clock.strip())
    except ValueError:
        raise CannotRead("the machine's clock was not told before the dump") from None
    told: list[Told] = []
    wrong: list[str] = []
    there = False
    for number, line in enumerate(dump.splitlines(), 2):
        fields = line.split("\t")
        if not line.strip():
            continue
        if len(fields) not in (_INTERFACE, _PEER):
            wrong.append(f"line {number} of the dump has {len(fields)} fields, where a peer has {_PEER}")
        elif fields[0] != interface:
            continue
        elif len(fields) == _INTERFACE:
            there = True
        else:
            try:
                told += _peer(fields, names, now, idle)
            except ValueError as error:
                wrong.append(f"line {number} of the dump: {error}")
    if not there:
        raise CannotRead(notes(wrong) or f"there is no WireGuard interface {interface}")
    return Read(tuple(told), notes(wrong), not wrong)


def _peer(fields: list[str], names: Mapping[str, str], now: datetime, idle: timedelta) -> Iterator[Told]:
    _, key, _, endpoint, allowed, handshake, *_ = fields
    last = stamp(handshake)
    addresses = held(allowed.split(",")) if allowed != "(none)" else ()
    if not last.timestamp() or not addresses:
        return
    until = None if now - last <= idle else last + REJECT_AFTER
    yield Told(names.get(key) or unnamed(key), addresses, None, until, outside(endpoint))


def unnamed(key: str) -> str:
    """What a peer is called that is in no list of names."""
    return person("peer-" + key[:12].replace("+", "-").replace("/", "_"))


def read_names(file: Path) -> Mapping[str, str]:
    """Public key -> person, from lines `KEY NAME`; empty lines and lines that begin with # are skipped.

    CannotRead with file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    names: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        key, _, name = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if len(key) != 44 or not key.endswith("="):
            raise CannotRead(f"{file}:{number}: begins with no public key; a line is `KEY NAME`")
        try:
            names[key] = person(name)
        except ValueError as error:
            raise CannotRead(f"{file}:{number}: {error}") from None
    return names
