"""Every key of a site's files, as Markdown: docs/policy.md is made of it."""

from collections.abc import Collection, Iterable, Iterator
from inspect import getdoc

from switchguard.core.rules import KINDS
from switchguard.edge.site_models import RULES, HostModel, RuleModel, SiteModel
from switchguard.edge.strict import Key, keys


def settings_reference() -> str:
    """Every key of a site's files, as Markdown."""
    common = dict.fromkeys((*RuleModel.model_fields, "penalty"))
    prefix = "rules.<name>."
    penalties = (key for key in keys(RULES["quota"], prefix) if key.name.startswith(f"{prefix}penalty"))
    return "\n".join(
        (
            "## switchguard.yaml",
            "",
            *_table(keys(SiteModel)),
            "",
            "### Every rule",
            "",
            *_table((*keys(RuleModel, prefix), *penalties)),
            "",
            *(line for kind in RULES for line in _of_kind(kind, common)),
            "## hosts.yaml, groups.yaml, defaults.yaml",
            "",
            "A host is called by any text that can be shown, best of letters, digits, dots, dashes and `_` (255 at",
            "most); a number or `true` needs quotes. `hostname` is an address or a name in DNS; else the host's own",
            "name is meant.",
            "",
            "Nornir's own keys `hostname`, `port`, `username`, `platform` and `groups`; for switchguard, under",
            "`data: {switchguard: ...}`:",
            "",
            *_table(keys(HostModel)),
            "",
            "A reference to a secret is `{env: NAME}`, `{file: path}` or `{command: [program, argument, ...]}`.",
            "",
        )
    )


def _of_kind(kind: str, common: Collection[str]) -> Iterator[str]:
    """What a kind of rule does, its own keys, and what else is special about it."""
    about, model = KINDS[kind].ABOUT, RULES[kind]
    own = [key for key in keys(model) if key.name.split(".")[0].removesuffix("[]") not in common]
    _, _, judgement = (getdoc(KINDS[kind]) or "").partition("\n\n")
    yield from (f"### kind: {kind}", "", f"{about.meaning[0].upper()}{about.meaning[1:]}.", "", judgement, "")
    if own:
        yield from (*_table(own), "")
    if about.penalties == ():
        yield from ("It takes no `penalty`: it has its own.", "")
    elif about.sentence is not None:
        yield from ("Without a `penalty`, people are told.", "")
    if about.penalties:
        yield from (f"Its penalty is {' or '.join(f'`{it}`' for it in about.penalties)}.", "")
    polls = model.model_fields["for_polls"].default
    yield from (f"`for_polls` is {polls} unless you say otherwise.", "")


def _table(rows: Iterable[Key]) -> Iterator[str]:
    yield "| key | default | written as | meaning |"
    yield "|---|---|---|---|"
    for key in rows:
        yield f"| `{key.name}` | {key.default} | {key.form} | {key.meaning} |"
