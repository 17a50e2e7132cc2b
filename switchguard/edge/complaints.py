"""What is wrong in a site's files -> an error that says where, and what would be right."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

from switchguard.edge.marks import Marked, read_marked
from switchguard.edge.strict import Complaint, Strict, check
from switchguard.errors import SiteError

POLICY_FILE = "switchguard.yaml"
HOST_FILES = ("hosts.yaml", "groups.yaml", "defaults.yaml")

Steps = Sequence[str | int]
Model = TypeVar("Model", bound=Strict)


def checked(model: type[Model], marked: Marked) -> Model:
    checked = check(model, marked.data)
    if isinstance(checked, model):
        return checked
    first, *others = cast(tuple[Complaint, ...], checked)
    more = "".join(f"\n{marked.file}:{marked.line_of(it.way)}: {it.why}" for it in others)
    raise at(marked, first.way, first.why + more)


def at(marked: Marked, way: Steps, why: str) -> SiteError:
    return SiteError(why, marked.file, marked.line_of(way))


def host_error(site: Path, host: str, way: Steps, why: str, below: Steps = ("data", "switchguard")) -> SiteError:
    """At the key, in whichever of Nornir's files has it; else at the host."""
    inside = (*below, *way)
    hosts, groups, defaults = (read_marked(site / name) if (site / name).exists() else None for name in HOST_FILES)
    of_groups = [steps for steps in (groups.lines if groups else ()) if steps[1:] == inside]
    places = [(hosts, (host, *inside)), *((groups, steps) for steps in of_groups), (defaults, inside), (hosts, (host,))]
    return next((at(it, steps, why) for it, steps in places if it is not None and steps in it.lines), SiteError(why))
