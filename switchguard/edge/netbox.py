"""Which MAC belongs to whom, from NetBox 4.2 or newer: its MAC addresses, what they are assigned to, and whose that is.

Asked are `/api/dcim/mac-addresses/` and, where people are tenants or contacts, `/api/dcim/devices/` and
`/api/virtualization/virtual-machines/`, or `/api/tenancy/contact-assignments/` (NetBox's "REST API Overview" and the
serializers of its release 4.2). Written after that documentation: no real NetBox has been asked yet.

The list is whole or it is none. A page that fails, fewer rows than NetBox counted, a MAC that is none, or no MAC at all
(which is also what a token without permission is told) leaves no registry, with the reason: rules that need it then
judge nobody. A MAC that is assigned to nothing, or to a device without a tenant or contact, is registered all the same,
to itself or to the device; one that belongs to two is registered to both.

The token goes to the configured host only: redirects are refused, of `next` only the query is used, and no proxy is
asked. TLS is verified; without it, only this machine itself is talked to.
"""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from ipaddress import ip_address
from time import monotonic
from typing import IO, Any, Literal, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from switchguard.core.letters import Contact
from switchguard.core.model import Mac
from switchguard.errors import NotConfigured
from switchguard.ports import Secret

PAGE = 1000
"""Rows of an answer: the most that NetBox gives unless told otherwise (MAX_PAGE_SIZE)."""
MOST_PAGES = 300
MOST_OCTETS = 32 << 20
"""Of an answer. A row has about a kilobyte, a device's about three."""
PATIENCE_S = 30.0
"""For all answers together: a pass waits for them."""
RETRY_S = 60.0
"""After a failure, or sooner if the list is to be refreshed sooner."""
MACS = "/api/dcim/mac-addresses/"
CONTACTS = "/api/tenancy/contact-assignments/"
OWNERS = {
    "dcim.device": "/api/dcim/devices/",
    "virtualization.virtualmachine": "/api/virtualization/virtual-machines/",
}
PRIORITIES = ("primary", "secondary", "tertiary", "")
"""Of contacts, in this order; those that are `inactive` do not count."""

Person = Literal["tenant", "contact", "device"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NetBox:
    """Where it is and what is wanted of it. `url` is a `base_url`."""

    url: str
    token: Secret
    person: Person = "tenant"
    refresh_s: float = 600.0
    timeout_s: float = 10.0
    ca_file: str | None = None


def base_url(text: str) -> str:
    """Without a slash at the end. ValueError unless it is https, or http to this machine itself."""
    parts = urlsplit(text)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("is no address of a NetBox; write it like https://netbox.example.org")
    if parts.scheme != "https" and not (parts.scheme == "http" and _here(parts.hostname)):
        raise ValueError("the token would travel unencrypted; write it like https://netbox.example.org")
    return text.rstrip("/").removesuffix("/api")


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class NetBoxRegistry:
    """The list as NetBox had it not longer than `refresh_s` ago. `why` says why the last `people` was None."""

    def __init__(self, netbox: NetBox, now: Callable[[], float] = monotonic) -> None:
        self._netbox, self._now = netbox, now
        self._until = -1.0
        self._people: Mapping[Mac, str] | None = None
        self.why: str | None = None

    def people(self) -> Mapping[Mac, str] | None:
        if self._now() >= self._until:
            self._ask()
        return self._people

    def contacts(self) -> Mapping[str, Contact]:
        """Not asked for: nobody can be reached by it."""
        return {}

    def _ask(self) -> None:
        try:
            self._people, self.why, wait_s = read_people(self._netbox, self._now), None, self._netbox.refresh_s
        except _Unknown as error:
            self._people, self.why = None, f"{self._netbox.url}: {error}"
            wait_s = min(self._netbox.refresh_s, RETRY_S)
        except NotConfigured as error:
            self._people, self.why, wait_s = None, str(error), min(self._netbox.refresh_s, RETRY_S)
        self._until = self._now() + wait_s


class _Unknown(Exception):
    """Why there is no list."""


def read_people(netbox: NetBox, now: Callable[[], float] = monotonic) -> Mapping[Mac, str]:
    """The whole list. `_Unknown` or NotConfigured if it cannot be had."""
    api = _Api(netbox, now)
    found: dict[Mac, dict[str, None]] = {}
    rows = [(_mac(row), _owner(row)) for row in api.rows(MACS)]
    names = _names(api, netbox.person, {owner[0] for _, owner in rows if owner is not None})
    for mac, owner in rows:
        person = str(mac) if owner is None else names.get(owner[:2], owner[2])
        found.setdefault(mac, {})[person] = None
    if not found:
        raise _Unknown("lists no MAC address; may the token view them?")
    return {mac: ", ".join(sorted(people)) for mac, people in found.items()}


# --- rows ------------------------------------------------------------------------------------------------------------


def _mac(row: Row) -> Mac:
    try:
        return Mac.parse(str(row["mac_address"]))
    except (KeyError, ValueError):
        raise _Unknown(f"row {row.get('id')} of {MACS} has no MAC address that makes sense") from None


def _owner(row: Row) -> tuple[str, int, str] | None:
    """Kind, id and name of the device or virtual machine whose interface has the MAC."""
    interface = row.get("assigned_object")
    if interface is None:
        return None
    try:
        kind, key = {
            "dcim.interface": ("dcim.device", "device"),
            "virtualization.vminterface": ("virtualization.virtualmachine", "virtual_machine"),
        }[row["assigned_object_type"]]
        device = interface[key]
        return kind, int(device["id"]), _name(device)
    except (KeyError, TypeError, ValueError):
        raise _Unknown(f"row {row.get('id')} of {MACS} is assigned to something unknown") from None


def _name(thing: Row) -> str:
    """A device may be without a name; what NetBox displays is not."""
    return str(thing.get("name") or thing["display"])


def _names(api: "_Api", person: Person, kinds: set[str]) -> Mapping[tuple[str, int], str]:
    """(kind, id) -> person, of those that have one."""
    match person:
        case "device":
            return {}
        case "tenant":
            return {key: name for kind in sorted(kinds) for key, name in _tenants(api, kind)}
        case "contact":
            return _contacts(api)


def _tenants(api: "_Api", kind: str) -> Iterator[tuple[tuple[str, int], str]]:
    path = OWNERS[kind]
    for row in api.rows(path, exclude="config_context"):
        try:
            if row["tenant"] is not None:
                yield (kind, int(row["id"])), _name(row["tenant"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _Unknown(f"row {row.get('id')} of {path} is no row of NetBox 4.2") from None


def _contacts(api: "_Api") -> Mapping[tuple[str, int], str]:
    """The one with the highest priority; of several, the first by name."""
    ranked: dict[tuple[str, int], tuple[int, str]] = {}
    for row in api.rows(CONTACTS):
        try:
            priority = (row.get("priority") or {}).get("value", "")
            owner = str(row["object_type"]), int(row["object_id"])
            name = _name(row["contact"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise _Unknown(f"row {row.get('id')} of {CONTACTS} is no row of NetBox 4.2") from None
        if priority in PRIORITIES:
            rank = PRIORITIES.index(priority), name
            ranked[owner] = min(rank, ranked.get(owner, rank))
    return {owner: name for owner, (_, name) in ranked.items()}


# --- asking ----------------------------------------------------------------------------------------------------------


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would take the token along."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        raise _Unknown(f"redirects to {newurl}; if that is NetBox, write it as the url")


class _Api:
    """One reading: all its answers share one patience."""

    def __init__(self, netbox: NetBox, now: Callable[[], float]) -> None:
        self._netbox, self._now = netbox, now
        self._deadline = now() + PATIENCE_S
        self._header = _authorization(netbox.token.reveal())
        self._opener = _opener(netbox)

    def rows(self, path: str, **query: str) -> Iterator[Row]:
        """All pages, and as many rows as NetBox counts."""
        asked, seen = urlencode({"limit": PAGE, **query}), 0
        for _ in range(MOST_PAGES):
            page = self._page(path, asked)
            try:
                results, count, following = list(page["results"]), int(page["count"]), page["next"]
            except (KeyError, TypeError, ValueError):
                raise _Unknown(f"{path} answers no page of a list") from None
            seen += len(results)
            yield from results
            if following is None:
                break
            asked = urlsplit(str(following)).query
        else:
            raise _Unknown(f"{path} has more than {MOST_PAGES} pages")
        if seen < count:
            raise _Unknown(f"{path} told {seen} of {count} rows")

    def _page(self, path: str, query: str) -> Row:
        request = Request(f"{self._netbox.url}{path}?{query}")  # noqa: S310 - `base_url` allows http and https only
        request.add_header("Authorization", self._header)
        request.add_header("Accept", "application/json")
        try:
            with self._opener.open(request, timeout=self._netbox.timeout_s) as answer:
                text = self._body(cast(HTTPResponse, answer))
            found = json.loads(text)
        except HTTPError as error:
            raise _Unknown(f"{path} answers {error.code} {error.reason}{_hint(path, error.code)}") from None
        except URLError as error:
            raise _Unknown(f"cannot be reached: {error.reason}") from error
        except TimeoutError as error:
            raise _Unknown(f"{path} did not answer within {self._netbox.timeout_s:g} s") from error
        except (OSError, HTTPException) as error:
            raise _Unknown(f"{path} broke off: {type(error).__name__}") from error
        except ValueError as error:
            raise _Unknown(f"{path} answers no JSON") from error
        if not isinstance(found, dict):
            raise _Unknown(f"{path} answers no page of a list")
        return found

    def _body(self, answer: HTTPResponse) -> bytes:
        """Bounded in size and in time, however slowly it drips."""
        parts, size = [], 0
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MOST_OCTETS:
                raise _Unknown(f"an answer has more than {MOST_OCTETS >> 20} MB")
            if self._now() > self._deadline:
                raise _Unknown(f"did not tell everything within {PATIENCE_S:g} s")
        return b"".join(parts)


def _authorization(token: str) -> str:
    """Tokens of the second version (NetBox 4.5) begin with `nbt_` and are bearers."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise _Unknown("the token has characters that no token has")
    return f"{'Bearer' if token.startswith('nbt_') else 'Token'} {token}"


def _hint(path: str, status: int) -> str:
    match status:
        case 401 | 403:
            return ": is the token valid, and may it view this?"
        case 404 if path == MACS:
            return ": NetBox 4.2 or newer is needed"
        case _:
            return ""


def _opener(netbox: NetBox) -> OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=netbox.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise _Unknown(f"{netbox.ca_file} holds no certificate: {error.strerror}") from error
    return build_opener(_NoRedirect, ProxyHandler({}), HTTPSHandler(context=context))
