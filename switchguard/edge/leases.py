"""The site's DHCP leases, read together with the tables that say who is where: lease files, and Kea's API.

A source that cannot be read is a Gap, like a device's table. One that could be read in part is a Gap as well, and what
was whole counts.
"""

import json
import logging
import socket
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.request import ProxyHandler, Request, build_opener

from switchguard.core.model import Gap, Lease, Reading
from switchguard.edge import lease_texts
from switchguard.edge.lease_texts import Told
from switchguard.errors import SwitchguardError
from switchguard.ports import Secret

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Kind = Literal["dnsmasq", "isc", "kea", "kea_api"]
MOST_OCTETS = 256 << 20
"""Of one answer or file: a million leases, and no more memory than that whatever is at the other end."""
_ASK = {"command": "lease4-get-all", "service": ["dhcp4"]}
_SET_ASIDE = ((".completed",), (".2", ".1"))
"""What Kea's clean-up leaves beside its file while it works, oldest first (Kea ARM, memfile back-end)."""


@dataclass(frozen=True, slots=True)
class LeaseSource:
    """One server. `where`: a file, or of `kea_api` a URL or `unix:` and the path of the control socket."""

    name: str
    kind: Kind
    where: str
    user: str | None = None
    password: Secret | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Leases:
    """What all sources told."""

    leases: tuple[Lease, ...] = ()
    readings: tuple[Reading, ...] = ()
    gaps: tuple[Gap, ...] = ()


def read_all(sources: Iterable[LeaseSource], clock: Clock) -> Leases:
    """One after the other: they are few, and near."""
    leases: list[Lease] = []
    readings: list[Reading] = []
    gaps: list[Gap] = []
    for source in sources:
        at = clock()
        try:
            told = read(source, at)
        except (OSError, ValueError, HTTPException, SwitchguardError) as error:
            gaps.append(Gap(source.name, "leases", f"{source.where}: {_why(error)}"))
            continue
        except Exception as error:  # the boundary of a source: a parser's defect must not stop the pass
            log.exception("a source of leases failed in a way that it should not")
            defect = f"a defect in switchguard: {type(error).__name__}: {error}"
            gaps.append(Gap(source.name, "leases", f"{source.where}: {defect}"))
            continue
        leases += told.leases
        readings.append(Reading(source.name, "leases", at, len(told.leases), (clock() - at).total_seconds()))
        if told.trouble:
            gaps.append(Gap(source.name, "leases", f"{source.where}: read in part: {told.trouble}"))
    return Leases(tuple(leases), tuple(readings), tuple(gaps))


def read(source: LeaseSource, now: datetime) -> Told:
    """OSError, ValueError or HTTPException say what was wrong."""
    if source.kind == "kea_api":
        return lease_texts.kea_answer(source.name, _ask(source), now)
    file = Path(source.where)
    match source.kind:
        case "dnsmasq":
            return lease_texts.dnsmasq(source.name, _text(file), now)
        case "isc":
            return lease_texts.isc(source.name, _text(file), now)
        case "kea":
            return lease_texts.kea_csv(source.name, [*_set_aside(file), _text(file)], now)


def _set_aside(file: Path) -> Iterable[str]:
    for suffixes in _SET_ASIDE:
        there = [Path(f"{file}{suffix}") for suffix in suffixes if Path(f"{file}{suffix}").exists()]
        if there:
            return [_text(it) for it in there]
    return []


def _text(file: Path) -> str:
    """Octets that are no UTF-8 (a hostname can be anything) are kept as signs of replacement."""
    with file.open("rb") as opened:
        octets = opened.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"it is larger than {MOST_OCTETS >> 20} MiB")
    return octets.decode(errors="replace")


# --- Kea's control API -----------------------------------------------------------------------------------------------


def _ask(source: LeaseSource) -> object:
    question = json.dumps(_ASK).encode()
    path = source.where.removeprefix("unix:")
    octets = _over_socket(path, question, source) if path != source.where else _over_http(question, source)
    return json.loads(octets)


def _over_http(question: bytes, source: LeaseSource) -> bytes:
    request = Request(source.where, question, {"Content-Type": "application/json", **_authorization(source)})  # noqa: S310 - the settings allow http and https only
    with build_opener(ProxyHandler({})).open(request, timeout=source.timeout_s) as answer:
        octets: bytes = answer.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise ValueError(f"its answer is larger than {MOST_OCTETS >> 20} MiB")
    return octets


def _authorization(source: LeaseSource) -> Mapping[str, str]:
    if source.user is None or source.password is None:
        return {}
    pair = f"{source.user}:{source.password.reveal()}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _over_socket(path: str, question: bytes, source: LeaseSource) -> bytes:
    """Kea answers and hangs up."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(source.timeout_s)
        line.connect(path)
        line.sendall(question)
        parts, size = [], 0
        while chunk := line.recv(1 << 16):
            parts.append(chunk)
            size += len(chunk)
            if size > MOST_OCTETS:
                raise ValueError(f"its answer is larger than {MOST_OCTETS >> 20} MiB")
    return b"".join(parts)


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return f"its answer is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
