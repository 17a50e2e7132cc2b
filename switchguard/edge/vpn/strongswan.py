"""strongSwan's tunnels: `swanctl --list-sas --raw`, one line per IKE_SA, as charon's vici protocol names things.

    list-sa event {campus {uniqueid=7 version=2 state=ESTABLISHED remote-host=192.0.2.7 remote-id=alice@example.org
      remote-eap-id=alice remote-vips=[10.99.0.7] established=1235 child-sas {net-7 {state=INSTALLED
      remote-ts=[10.99.0.7/32] ...}}}}
    list-sas reply {}

The person is the XAuth identity with IKE version 1, the EAP identity with version 2, else the IKE identity; the
addresses are the virtual ones, else what the children send from. Values are not escaped, and an identity is the
client's own words: whatever is said twice, or does not close, is refused, and what the version does not have is not
believed. Nothing tells an IKE identity with ` remote-eap-id=bob` in it, and no EAP, from one with EAP (docs/vpn.md). A
rekeying begins a new IKE_SA with a younger `established`, so the first beginning counts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from switchguard.core.user_sessions import Told
from switchguard.edge.vpn.reading import CannotRead, Read, held, notes, outside, person, shown

COMMAND = "swanctl --list-sas --raw"
T = TypeVar("T")

_EVENT = "list-sa event "
_END = re.compile(r"list-sas reply \{.*\}\s*")
_TOKEN = re.compile(r"\s*(?:([^\s={}\[\]]+) \{|([a-z][a-z0-9-]*)=(?:\[((?:[^\[\]{}]|\[[^\[\]{}]*\])*)\]|)|(\}))")
_NEXT_KEY = re.compile(r" (?=[a-z][a-z0-9-]*(?:=|\s?\{))| (?=[^\s={}\[\]]+ \{)|(?=\})")
_AUTHENTICATED = {"1": "remote-xauth-id", "2": "remote-eap-id"}
"""By IKE version; which one charon tells depends on nothing else."""
_DEEPEST = 6


@dataclass(slots=True)
class Section:
    """One section of a message."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    sections: dict[str, "Section"] = field(default_factory=dict)


def read_sas(text: str, at: datetime) -> Read:
    """CannotRead for what is no answer of swanctl. Lines before the answer are warnings of swanctl itself."""
    told: list[Told] = []
    wrong: list[str] = []
    ended = False
    for line in text.splitlines():
        if line.startswith(_EVENT):
            try:
                told += _people(parse(line.removeprefix(_EVENT)), at)
            except (ValueError, OverflowError) as error:
                wrong.append(f"{error}: {shown(line)}")
        elif _END.fullmatch(line):
            ended = True
        elif line.startswith("list-sa") or told or wrong:
            wrong.append(f"a line that is none of the answer: {shown(line)}")
    if not ended and not told and not wrong:
        raise CannotRead(f"is no answer of `{COMMAND}`: {shown(text.strip())}")
    if not ended:
        wrong.append("the answer is cut off: it does not end with `list-sas reply`")
    return Read(tuple(told), notes(wrong), not wrong)


def _people(top: Section, at: datetime) -> Iterator[Told]:
    for sa in top.sections.values():
        if sa.values.get("state") != "ESTABLISHED":
            continue
        asked = _AUTHENTICATED.get(sa.values.get("version", ""), "")
        name = sa.values.get(asked) or sa.values.get("remote-id", "")
        addresses = held(sa.lists.get("remote-vips") or _selectors(sa))
        seconds = sa.values.get("established", "")
        if not seconds.isdecimal():
            raise ValueError("it does not say since when it is established")
        if addresses:
            since = at - timedelta(seconds=int(seconds))
            yield Told(person(name), addresses, since, None, outside(sa.values.get("remote-host", "")))


def _selectors(sa: Section) -> list[str]:
    """What the installed children send from; a protocol and port behind it matter to nobody here."""
    children: Mapping[str, Section] = sa.sections.get("child-sas", Section()).sections
    installed = (child for child in children.values() if child.values.get("state") == "INSTALLED")
    return [it.partition("[")[0] for child in installed for it in child.lists.get("remote-ts", ())]


def parse(text: str) -> Section:
    """`{name {key=value list=[a b] name {...}}}`. ValueError for what is said twice or does not close."""
    if not text.startswith("{"):
        raise ValueError("a section does not begin with {")
    top = Section()
    open_ones, place = [top], 1
    while open_ones:
        token = _TOKEN.match(text, place)
        if token is None or len(open_ones) > _DEEPEST:
            raise ValueError("a section that cannot be understood")
        name, key, listed, closed = token.groups()
        place, here = token.end(), open_ones[-1]
        if closed:
            open_ones.pop()
        elif name:
            open_ones.append(_new(here.sections, name, Section()))
        elif listed is not None:
            _new(here.lists, key, listed.split())
        else:
            end = _NEXT_KEY.search(text, place)
            if end is None:
                raise ValueError("a section does not close")
            _new(here.values, key, text[place : end.start()])
            place = end.start()
    if text[place:].strip():
        raise ValueError("there is more after the last section")
    return top


def _new(into: dict[str, T], key: str, value: T) -> T:
    if key in into:
        raise ValueError(f"{key!r} is said twice")
    into[key] = value
    return value
