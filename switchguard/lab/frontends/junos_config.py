"""A Junos configuration as statements under a strict schema: `set` and `delete` in, the next configuration or the
vendor's complaint out; `display set` and `show | compare` of it.

A statement is its nodes from the top, as the schema divides them: `vlans`, `clients`, `vlan-id 10`. The schema is
written with `>` between nodes; what follows a bar is the value of a leaf that has one, so that a later one replaces it.
Configurations are values. What this file must not get wrong is what is left of a term whose last condition is deleted:
the term, without a condition, which matches everything. Conditions themselves are not kept without content.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from switchguard.lab.frontends.config import Kind

Statement = tuple[str, ...]
Config = tuple[Statement, ...]
_WORD = re.compile(r'"[^"]*"|[^\s"]+')


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the device says against a line or a configuration. A warning changes nothing, and refuses nothing."""

    message: str
    word: str = ""
    """The one that it is about."""
    place: str = ""
    """`[edit ...]`."""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    nodes: tuple[tuple[str, ...], ...]
    """The words of each node."""
    valued: bool
    """Whether the last node is a name and one value."""

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(word for node in self.nodes for word in node)


@dataclass(frozen=True, slots=True)
class Schema:
    rules: tuple[_Rule, ...]
    kinds: Mapping[str, Kind]
    tops: tuple[str, ...] = field(default=())
    """The first nodes, in the order in which a configuration is listed."""

    def statement(self, words: Sequence[str]) -> tuple[Statement, _Rule] | Refusal:
        """A whole statement in canonical spelling."""
        understood = 0
        for rule in self.rules:
            spelt = self._spelt(rule, words)
            understood = max(understood, len(spelt))
            if len(spelt) == len(words) == len(rule.words):
                return _divided(rule, spelt), rule
        if understood == len(words):
            return Refusal("missing argument.", words[-1] if words else "")
        return Refusal("syntax error", words[understood])

    def beginning(self, words: Sequence[str]) -> tuple[str, ...] | Refusal:
        """The same words, if some statement begins with them."""
        best = max((self._spelt(rule, words) for rule in self.rules), key=len)
        return best if words and len(best) == len(words) else Refusal("syntax error", words[len(best)] if words else "")

    def is_entry(self, statement: Statement, depth: int) -> bool:
        """Whether the node at that depth is one of a list: it stays when everything in it is gone."""
        words = tuple(statement[depth].split())
        return any(
            rule.nodes[0][0] == statement[0]
            and len(rule.nodes) > depth + 1
            and len(rule.nodes[depth]) == len(words)
            and rule.nodes[depth][-1].startswith("<")
            and (len(words) == 1 or rule.nodes[depth][0] == words[0])
            for rule in self.rules
        )

    def _spelt(self, rule: _Rule, words: Sequence[str]) -> tuple[str, ...]:
        """As many of the words as this rule understands."""
        spelt: list[str] = []
        for token, word in zip(rule.words, words, strict=False):
            kind, _, limits = token.strip("<>").partition(":")
            value = self.kinds[kind](word, limits) if token.startswith("<") else word if word == token else None
            if value is None:
                break
            spelt.append(value)
        return tuple(spelt)


def schema(patterns: Iterable[str], kinds: Mapping[str, Kind]) -> Schema:
    rules = []
    for pattern in patterns:
        nodes = tuple(tuple(node.replace("|", " ").split()) for node in pattern.split(" > "))
        rules.append(_Rule(nodes, "|" in pattern))
    return Schema(tuple(rules), kinds, tuple(dict.fromkeys(rule.nodes[0][0] for rule in rules)))


def _divided(rule: _Rule, words: Sequence[str]) -> Statement:
    rest = iter(words)
    return tuple(" ".join(next(rest) for _ in node) for node in rule.nodes)


# --- one line --------------------------------------------------------------------------------------------------------


def enter(known: Schema, config: Config, line: str) -> Config | Refusal:
    """`set ...` or `delete ...`."""
    verb, *words = _WORD.findall(line) or [""]
    match verb:
        case "set":
            found = known.statement(words)
            return found if isinstance(found, Refusal) else _with(known, config, *found)
        case "delete":
            gone = known.beginning(words)
            return gone if isinstance(gone, Refusal) else _without(known, config, gone)
    return Refusal("unknown command.", verb)


def load(known: Schema, config: Config, lines: Iterable[str]) -> tuple[Config, list[Refusal]]:
    """Enter many lines; those that are refused are left out and told."""
    refused = []
    for line in filter(str.strip, lines):
        answer = enter(known, config, line)
        if isinstance(answer, Refusal):
            refused.append(answer)
        else:
            config = answer
    return config, refused


def _with(known: Schema, config: Config, new: Statement, rule: _Rule) -> Config:
    if new in config:
        return config
    name = new[-1].split()[0]
    if rule.valued:
        config = tuple(it for it in config if it[:-1] != new[:-1] or it[-1].split()[0] != name)
    config = tuple(it for it in config if new[: len(it)] != it)
    near = max((_shared(it, new) for it in config), default=0)
    at = max((n + 1 for n, it in enumerate(config) if near and _shared(it, new) == near), default=len(config))
    return tuple(sorted((*config[:at], new, *config[at:]), key=lambda it: known.tops.index(it[0])))


def _without(known: Schema, config: Config, gone: tuple[str, ...]) -> Config | Refusal:
    left = tuple(it for it in config if _words(it)[: len(gone)] != gone)
    if left == config:
        return Refusal("statement not found", gone[-1], warning=True)
    first, removed = next((n, it) for n, it in enumerate(config) if it not in left)
    heads = [removed[: depth + 1] for depth in range(len(removed)) if known.is_entry(removed, depth)]
    deepest = max((head for head in heads if len(_words(head)) < len(gone)), key=len, default=())
    if deepest and not any(it[: len(deepest)] == deepest for it in left):
        return (*left[:first], deepest, *left[first:])
    return left


def _shared(one: Statement, other: Statement) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _words(statement: Statement) -> tuple[str, ...]:
    return tuple(_WORD.findall(" ".join(statement)))


# --- texts -----------------------------------------------------------------------------------------------------------


def display_set(config: Config) -> list[str]:
    return [f"set {' '.join(it)}" for it in config]


def display_text(config: Config) -> list[str]:
    """With braces."""
    return [line for node, content in _tree(config).nodes.items() for line in _text(node, content)]


def compare(before: Config, after: Config) -> str:
    """`show | compare`: what comes and goes below the deepest place that both have."""
    return "\n".join(_compared(_tree(before), _tree(after), ()))


@dataclass
class _Tree:
    """A node's content, in order."""

    nodes: "dict[str, _Tree]" = field(default_factory=dict)


def _tree(config: Config) -> _Tree:
    root = _Tree()
    for statement in config:
        at = root
        for node in statement:
            at = at.nodes.setdefault(node, _Tree())
    return root


def _compared(before: _Tree, after: _Tree, path: Statement) -> Iterator[str]:
    gone = [node for node in before.nodes if node not in after.nodes]
    come = [node for node in after.nodes if node not in before.nodes]
    if gone or come:
        yield f"[edit {' '.join(path)}]" if path else "[edit]"
    for sign, nodes, of in (("-", gone, before), ("+", come, after)):
        for node in nodes:
            yield from (f"{sign}   {line}" for line in _text(node, of.nodes[node]))
    for node in after.nodes:
        if node in before.nodes:
            yield from _compared(before.nodes[node], after.nodes[node], (*path, node))


def _text(node: str, content: _Tree) -> Iterator[str]:
    """A node with one leaf and no more is written in one line, as `then discard;` and `members clients;` are."""
    leaves = [child for child, below in content.nodes.items() if not below.nodes]
    if not content.nodes:
        yield f"{node};"
    elif node in ("then", "members") and len(content.nodes) == 1 and leaves:
        yield f"{node} {leaves[0]};"
    else:
        yield f"{node} {{"
        for child, below in content.nodes.items():
            yield from (f"    {line}" for line in _text(child, below))
        yield "}"
