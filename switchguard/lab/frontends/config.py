"""A configuration as a tree of lines under a strict grammar: one typed line in, the next tree or the vendor's
complaint out.

A grammar is a list of rules, written as the vendor's reference writes syntax: `mac address-table static <mac> vlan
<vlan> | drop`. What stands before the bar is the slot: a later line with the same slot replaces the earlier one, and
`no` plus the slot empties it. Trees are values: applying a line gives a new tree and leaves the old one alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import unified_diff
from functools import partial
from typing import Literal

Kind = Callable[[str, str], str | None]
"""What a <placeholder:limits> accepts: (word, limits) -> the word's canonical spelling, or None if it is no such
thing."""
Prepare = Callable[["Place", str], str]
"""What the device adds to a line before it reads it, such as the number of a list's next entry."""
Check = Callable[["Tree", "Command"], str]
"""What the vendor says against a well-formed line here and now, or an empty string."""

GLOBAL = ""
LEAVE = ("exit", "end")
_REST = "<line>"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that the vendor documents. `mode` is where it may stand; `opens` the mode of its own sub-lines."""

    mode: str
    pattern: str
    opens: str = ""
    spelling: str = ""
    """How it shows in the running configuration, if not as typed; {0}, {1} are the placeholders' words. Has its own
    bar."""
    undo: tuple[str, ...] = ()
    """What may follow `no`; without it the slot alone and the whole line."""
    entered: bool = False
    """Listed in the order of entry (classes of a policy, entries of a list) instead of sorted."""
    group: str = ""
    """Rules of one group are listed mixed, as one kind of line."""
    check: Check | None = None

    @property
    def stored(self) -> str:
        if self.spelling:
            return self.spelling
        numbers = iter(range(len(self.pattern)))
        return re.sub(r"<[^>]+>", lambda _: f"{{{next(numbers)}}}", self.pattern)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that the grammar accepts. `slot` identifies the place that it fills or empties; `text` is canonical."""

    rule: Rule
    slot: str
    text: str
    arguments: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SyntaxComplaint:
    """The `at`-th word (from 0) is where the line stopped making sense; `column` is where it starts."""

    kind: Literal["invalid", "incomplete", "ambiguous"]
    at: int
    column: int
    line: str

    @property
    def word(self) -> str:
        return self.line[self.column :].split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class Objection:
    """A well-formed line that the device will not take: the vendor's message."""

    message: str


Complaint = SyntaxComplaint | Objection


@dataclass(frozen=True, slots=True)
class Node:
    """A line that stands, and those inside its section."""

    slot: str
    text: str
    rule: Rule
    arguments: tuple[str, ...] = ()
    children: Mapping[str, "Node"] = field(default_factory=dict)


Tree = Mapping[str, Node]
"""Slot -> line, in the order of entry."""


@dataclass(frozen=True, slots=True)
class Place:
    """A tree and where the next line would go: the slots of the open sections, outermost first."""

    tree: Tree
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to type a rule: its words, after `no` or not."""

    rule: Rule
    tokens: tuple[str, ...]
    negated: bool
    rank: int


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    column: int


def _words(line: str) -> list[_Word]:
    """`interface Ethernet 1` is `interface Ethernet1` to both vendors."""
    words = [_Word(found.group(), found.start()) for found in re.finditer(r"\S+", line)]
    for at in range(len(words) - 2):
        named, number = words[at + 1], words[at + 2].text
        if words[at].text.lower() == "interface" and named.text.isalpha() and number[0].isdigit():
            return [*words[: at + 1], _Word(named.text + number, named.column), *words[at + 3 :]]
    return words


class Grammar:
    """All rules of one switch. `kinds` says what the placeholders accept; `abbreviates` whether `sh ver` is enough."""

    def __init__(
        self,
        rules: Iterable[Rule],
        kinds: Mapping[str, Kind],
        abbreviates: bool = True,
        prepare: Prepare = lambda _, line: line,
    ) -> None:
        self.prepare = prepare
        self._kinds = kinds
        self._abbreviates = abbreviates
        self._forms: dict[str, list[_Form]] = {}
        self._rank: dict[Rule, int] = {}
        groups: dict[str, int] = {}
        for rank, rule in enumerate(rules):
            self._rank[rule] = groups.setdefault(rule.group, rank) if rule.group else rank
            self._forms.setdefault(rule.mode, []).extend(_forms(rule, rank))

    def parse(self, mode: str, line: str) -> Command | SyntaxComplaint:
        words = _words(line)
        alive: list[tuple[_Form, tuple[str, ...]]] = [(form, ()) for form in self._forms.get(mode, ())]
        for at, word in enumerate(words):
            step = self._advance(alive, at, word.text)
            if not step:
                return SyntaxComplaint("invalid", at, word.column, line)
            if self._torn(step, at, word.text):
                return SyntaxComplaint("ambiguous", at, word.column, line)
            alive = step
        for form, arguments in sorted(alive, key=lambda each: each[0].rank):
            if len(form.tokens) == len(words) or (form.tokens[-1] == _REST and len(words) > len(form.tokens)):
                return _command(form, arguments)
        return SyntaxComplaint("incomplete", len(words), len(line), line)

    def _advance(
        self, alive: Sequence[tuple[_Form, tuple[str, ...]]], at: int, word: str
    ) -> list[tuple[_Form, tuple[str, ...]]]:
        """Forms that can go on with this word: exact keywords first, then abbreviations, then placeholders."""
        exact, others = [], []
        for form, arguments in alive:
            token = form.tokens[min(at, len(form.tokens) - 1)]
            if at >= len(form.tokens) and token != _REST:
                continue
            if token == _REST:
                first = at == len(form.tokens) - 1
                others.append((form, (*arguments, word) if first else (*arguments[:-1], f"{arguments[-1]} {word}")))
            elif token.startswith("<"):
                kind, _, limits = token[1:-1].partition(":")
                value = self._kinds[kind](word, limits)
                if value is not None:
                    others.append((form, (*arguments, value)))
            elif token == word.lower():
                exact.append((form, arguments))
            elif self._abbreviates and token.startswith(word.lower()):
                others.append((form, arguments))
        return exact or others

    @staticmethod
    def _torn(step: Sequence[tuple[_Form, tuple[str, ...]]], at: int, word: str) -> bool:
        keywords = {form.tokens[at] for form, _ in step if at < len(form.tokens) and form.tokens[at][0] != "<"}
        return len(keywords) > 1 and word.lower() not in keywords

    def ordered(self, tree: Tree) -> list[Node]:
        """As the device lists them: by the grammar's order, then naturally, or as entered where order matters."""
        return sorted(tree.values(), key=lambda node: (self._rank[node.rule], *_order(node)))


def _forms(rule: Rule, rank: int) -> Iterator[_Form]:
    slot, _, value = rule.pattern.partition("|")
    whole = tuple((slot + value).split())
    yield _Form(rule, whole, False, rank)
    undone = {tuple(text.split()) for text in rule.undo} or {tuple(slot.split()), whole}
    for tokens in sorted(undone):
        yield _Form(rule, ("no", *tokens), True, rank)


def _command(form: _Form, arguments: tuple[str, ...]) -> Command:
    """`no` with less than the whole line names no value: then the text is the slot."""
    slot, _, value = (part.strip() for part in form.rule.stored.partition("|"))
    whole = tuple(form.rule.pattern.replace("|", " ").split())
    text = f"{slot} {value}".strip() if form.tokens[form.negated :] == whole else slot
    return Command(form.rule, slot.format(*arguments), text.format(*arguments), arguments, form.negated)


def _order(node: Node) -> tuple[tuple[str | int, ...], ...]:
    if node.rule.entered:
        return ()
    return (tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", node.text)),)


# --- one line --------------------------------------------------------------------------------------------------------


def mode_of(place: Place) -> str:
    node = find(place.tree, place.path)
    return node.rule.opens if node else GLOBAL


def after_leaving(path: tuple[str, ...], word: str) -> tuple[str, ...]:
    """`exit` leaves one section, `end` all; any other word none."""
    return {"exit": path[:-1], "end": ()}.get(word, path)


def find(tree: Tree, path: Sequence[str]) -> Node | None:
    node: Node | None = None
    for slot in path:
        node = (node.children if node else tree).get(slot)
        if node is None:
            return None
    return node


def enter(grammar: Grammar, place: Place, line: str) -> Place | Complaint:
    """Type one line. A line that the open section does not know is tried in the sections around it, as devices do."""
    if not line.strip() or line.lstrip().startswith("!"):
        return place
    understood = understand(grammar, place, grammar.prepare(place, line))
    if isinstance(understood, SyntaxComplaint):
        return understood
    command, path = understood
    message = command.rule.check(place.tree, command) if command.rule.check else ""
    if message:
        return Objection(message)
    if command.negated:
        return Place(_changed(place.tree, path, partial(_without, command=command)), path)
    tree = _changed(place.tree, path, partial(_with, command=command))
    return Place(tree, (*path, command.slot) if command.rule.opens else path)


def understand(grammar: Grammar, place: Place, line: str) -> tuple[Command, tuple[str, ...]] | SyntaxComplaint:
    """The command and the section that it belongs to, or the complaint of whoever understood most of it."""
    complaints: list[SyntaxComplaint] = []
    for depth in range(len(place.path), -1, -1):
        path = place.path[:depth]
        parsed = grammar.parse(mode_of(Place(place.tree, path)), line)
        if isinstance(parsed, Command):
            return parsed, path
        complaints.append(parsed)
    return max(complaints, key=lambda complaint: complaint.at)


def _changed(tree: Tree, path: Sequence[str], change: Callable[[Tree], Tree]) -> Tree:
    if not path:
        return change(tree)
    node = tree[path[0]]
    return {**tree, path[0]: replace(node, children=_changed(node.children, path[1:], change))}


def _with(lines: Tree, command: Command) -> Tree:
    standing = lines.get(command.slot)
    children = standing.children if standing else {}
    return {**lines, command.slot: Node(command.slot, command.text, command.rule, command.arguments, children)}


def _without(lines: Tree, command: Command) -> Tree:
    """`no` with a value removes only that value; without one, whatever fills the slot."""
    standing = lines.get(command.slot)
    if standing is None or command.text not in (command.slot, standing.text):
        return lines
    return {slot: node for slot, node in lines.items() if slot != command.slot}


def load(grammar: Grammar, tree: Tree, lines: Iterable[str]) -> tuple[Tree, list[tuple[str, Complaint]]]:
    """Enter many lines from the top; lines that are refused are left out and listed with the complaint."""
    place = Place(tree)
    refused: list[tuple[str, Complaint]] = []
    for line in lines:
        if line.strip() in LEAVE:
            place = Place(place.tree, after_leaving(place.path, line.strip()))
            continue
        answer = enter(grammar, place, line)
        if isinstance(answer, Place):
            place = answer
        else:
            refused.append((line, answer))
    return place.tree, refused


# --- texts -----------------------------------------------------------------------------------------------------------


def render(grammar: Grammar, tree: Tree, indent: int) -> list[str]:
    """The configuration as the device prints it: `!` around sections and between kinds of lines."""
    lines: list[str] = []
    last: Rule | None = None
    for node in grammar.ordered(tree):
        if last is not None and (node.rule is not last or node.rule.opens):
            lines.append("!")
        lines += _rendered(grammar, node, indent, 0)
        last = node.rule
    return lines


def _rendered(grammar: Grammar, node: Node, indent: int, depth: int) -> Iterator[str]:
    yield " " * (indent * depth) + node.text
    for child in grammar.ordered(node.children):
        yield from _rendered(grammar, child, indent, depth + 1)


def unified(before: Sequence[str], after: Sequence[str], name_before: str, name_after: str) -> list[str]:
    return list(unified_diff(before, after, name_before, name_after, lineterm=""))


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of a difference: `+`, `-`, or a blank for the header of a section that has changes inside."""

    sign: Literal["+", "-", " "]
    depth: int
    text: str


def differences(grammar: Grammar, before: Tree, after: Tree, depth: int = 0) -> list[Edit]:
    """What turns one tree into the other, additions before removals in every section."""
    edits: list[Edit] = []
    for node in grammar.ordered(after):
        standing = before.get(node.slot)
        if standing is None or standing.text != node.text:
            edits += [Edit("+", depth, node.text), *_all("+", grammar, node.children, depth + 1)]
        elif inside := differences(grammar, standing.children, node.children, depth + 1):
            edits += [Edit(" ", depth, node.text), *inside]
    for node in grammar.ordered(before):
        kept = after.get(node.slot)
        if kept is None or kept.text != node.text:
            edits.append(Edit("-", depth, node.text))
    return edits


def _all(sign: Literal["+", "-"], grammar: Grammar, tree: Tree, depth: int) -> Iterator[Edit]:
    for node in grammar.ordered(tree):
        yield Edit(sign, depth, node.text)
        yield from _all(sign, grammar, node.children, depth + 1)


def incremental(grammar: Grammar, running: Tree, lines: Iterable[str]) -> list[str]:
    """The lines of a file that are not in the running configuration, under their sections. Purely textual, as on IOS:
    a `no` line always shows, and so does a line that the device will refuse."""
    shown: list[str] = []
    heads: dict[tuple[str, ...], str] = {}
    under: tuple[str, ...] = ()
    place = Place(running)
    for text in (line.strip() for line in lines):
        if not text or text.startswith("!") or text in LEAVE:
            place = Place(place.tree, after_leaving(place.path, text))
            continue
        understood = understand(grammar, place, text)
        command, path = (None, place.path) if isinstance(understood, SyntaxComplaint) else understood
        opens = command is not None and bool(command.rule.opens) and not command.negated
        inside = (*path, command.slot) if command and opens else path
        if not _stands(running, path, command, text):
            shown += [heads[path[: depth + 1]] for depth in range(_shared(under, path), len(path))]
            shown.append(" " * len(path) + text)
            under = inside
        if command and opens:
            heads[inside] = " " * len(path) + text
            place = Place(_changed(place.tree, path, partial(_with, command=command)))
        place = Place(place.tree, inside)
    return shown


def _stands(running: Tree, path: Sequence[str], command: Command | None, text: str) -> bool:
    standing = find(running, (*path, command.slot)) if command and not command.negated else None
    return standing is not None and standing.text.lower() == text.lower()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many sections two paths have in common."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
