"""What an IOS switch answers to in exec mode: (pattern -> answer), read by the same grammar engine as its
configuration."""

from collections.abc import Callable, Mapping

from switchguard.core.model import Mac
from switchguard.lab.frontends import ios_text
from switchguard.lab.frontends.config import Command, Grammar, Rule, differences, incremental
from switchguard.lab.frontends.ios_box import IosBox, files
from switchguard.lab.frontends.kinds import kinds
from switchguard.lab.frontends.tables import AddressRow, address_table, arp_table, port_states

EXEC, USER = "exec", "user"

Answer = Callable[[IosBox, Command], str]
RowFilter = Callable[[AddressRow, Command], bool]


def exec_grammar(box: IosBox, actions: Mapping[str, str]) -> Grammar:
    """`actions` are the commands that a session carries out itself: pattern -> the least mode that may."""
    rules = [Rule(EXEC, pattern) for pattern in (*SHOW, *actions)]
    rules += [Rule(USER, pattern) for pattern in SHOW if pattern in _FOR_EVERYBODY]
    rules += [Rule(USER, pattern) for pattern, mode in actions.items() if mode == USER]
    return Grammar(rules, kinds(box.switch.plane.ports(), "Vlan"))


# --- show ------------------------------------------------------------------------------------------------------------


def _running(box: IosBox, _: Command) -> str:
    return ios_text.running_config(box.switch.text())


def _running_interface(box: IosBox, command: Command) -> str:
    node = box.switch.running.get(f"interface {command.arguments[0]}")
    return ios_text.running_config(box.switch.text({node.slot: node} if node else {}))


def _startup(box: IosBox, _: Command) -> str:
    text = box.switch.startup
    return f"Using {len(text)} out of 524288 bytes\n!\n{text}"


def _mac_table(wanted: RowFilter) -> Answer:
    return lambda box, command: ios_text.mac_address_table(
        [row for row in address_table(box.switch) if wanted(row, command)]
    )


def _at_mac(row: AddressRow, command: Command) -> bool:
    return row.mac == Mac.parse(command.arguments[0])


def _in_vlan(row: AddressRow, command: Command) -> bool:
    return str(row.vlan) == command.arguments[0]


def _behind(row: AddressRow, command: Command) -> bool:
    return row.port is not None and row.port.long == command.arguments[0]


def _interfaces(box: IosBox, command: Command) -> str:
    asked = command.arguments
    return ios_text.interfaces(state for state in port_states(box.switch) if not asked or state.port.long in asked)


def _vlan(box: IosBox, command: Command) -> str:
    return ios_text.vlan_brief(box.switch.running, port_states(box.switch), only=int(command.arguments[0]))


def _archive(box: IosBox, _: Command) -> str:
    section = box.switch.running.get("archive")
    path = section.children.get("path") if section else None
    return ios_text.archive(path.arguments[0], 0) if path else " Archive feature not enabled"


def _rollback_timer(box: IosBox, _: Command) -> str:
    pending = box.rollback
    if pending is None:
        return "%No Rollback Confirmed Change pending"
    return ios_text.rollback_timer(pending.minutes, pending.user, pending.since)


def _incremental_diffs(box: IosBox, command: Command) -> str:
    name = command.arguments[0]
    text = box.content(name)
    if text is None:
        return _no_file(name)
    lines = (*text.splitlines(), *box.switch.faults.foreign())
    return ios_text.incremental_diffs(incremental(box.grammar, box.switch.running, lines))


def _contextual_diffs(box: IosBox, command: Command) -> str:
    texts = [box.content(name) for name in command.arguments]
    missing = [name for name, text in zip(command.arguments, texts, strict=True) if text is None]
    if missing:
        return _no_file(missing[0])
    before, after = (box.switch.read(text or "")[0] for text in texts)
    return ios_text.contextual_diffs(differences(box.grammar, before, after))


def _directory(box: IosBox, command: Command) -> str:
    name = command.arguments[0] if command.arguments else "flash:"
    there = list(files(box))
    used = sum(path.stat().st_size for path in there)
    if name in ("flash:", "flash:/"):
        return ios_text.directory(there, "flash:/", used)
    named = [path for path in there if path == box.switch.file(name)]
    return ios_text.directory(named, name, used) if named else _no_file(name)


def _more(box: IosBox, command: Command) -> str:
    text = box.content(command.arguments[0])
    return _no_file(command.arguments[0]) if text is None else text


def _verify(box: IosBox, command: Command) -> str:
    name = command.arguments[0]
    path = box.switch.file(name)
    if path is None or not path.exists():
        return _no_file(name)
    return f".Done!\nverify /md5 ({name}) = {ios_text.md5(path.read_bytes())}"


def _no_file(name: str) -> str:
    return f"%Error opening {name} (No such file or directory)"


SHOW: Mapping[str, Answer] = {
    "show version": lambda box, _: ios_text.show_version(box.switch),
    "show hosts": lambda _, __: "Default domain is not set\nName/address lookup uses static mappings",
    "show running-config": _running,
    "show running-config all": _running,
    "show running-config interface <port>": _running_interface,
    "show startup-config": _startup,
    "show mac address-table": _mac_table(lambda _, __: True),
    "show mac address-table dynamic": _mac_table(lambda row, _: not row.static),
    "show mac address-table static": _mac_table(lambda row, _: row.static),
    "show mac address-table address <mac>": _mac_table(_at_mac),
    "show mac address-table vlan <vlan>": _mac_table(_in_vlan),
    "show mac address-table interface <port>": _mac_table(_behind),
    "show mac address-table dynamic vlan <vlan>": _mac_table(
        lambda row, asked: not row.static and _in_vlan(row, asked)
    ),
    "show ip arp": lambda _, __: ios_text.arp(arp_table()),
    "show arp": lambda _, __: ios_text.arp(arp_table()),
    "show interfaces": _interfaces,
    "show interfaces <port>": _interfaces,
    "show ip interface brief": lambda box, _: ios_text.ip_interface_brief(port_states(box.switch)),
    "show vlan brief": lambda box, _: ios_text.vlan_brief(box.switch.running, port_states(box.switch)),
    "show vlan id <vlan>": _vlan,
    "show lldp neighbors": lambda box, _: ios_text.lldp_neighbors(box.switch.chassis.neighbors),
    "show archive": _archive,
    "show archive config rollback timer": _rollback_timer,
    "show archive config incremental-diffs <name>": _incremental_diffs,
    "show archive config incremental-diffs <name> ignorecase": _incremental_diffs,
    "show archive config differences <name> <name>": _contextual_diffs,
    "dir": _directory,
    "dir <name>": _directory,
    "more <name>": _more,
    "verify /md5 <name>": _verify,
}

_FOR_EVERYBODY = (
    "show version",
    "show hosts",
    "show mac address-table",
    "show ip arp",
    "show arp",
    "show interfaces",
    "show ip interface brief",
    "show vlan brief",
)
