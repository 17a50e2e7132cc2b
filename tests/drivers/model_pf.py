"""pfctl as far as our commands go: a ruleset that leads through an anchor of ours, which is empty at the start."""

from ipaddress import ip_address, ip_network

from switchguard.core.changes import Change, Slot
from switchguard.core.model import Device, Role
from switchguard.core.penalties import Block
from switchguard.errors import CommandRefused

BY_ADDRESS = Block(by="address")
BLOCK = Change(Slot("fw1", "block", address=ip_address("10.10.0.107")), None, BY_ADDRESS)
IPV6 = Change(Slot("fw1", "block", address=ip_address("2001:db8:1::9")), None, BY_ADDRESS)
SUBNET = Change(Slot("fw1", "block", network=ip_network("10.20.4.0/24")), None, BY_ADDRESS)
CHANGES = ((BLOCK,), (BLOCK, IPV6), (SUBNET, BLOCK))

RULES = ("table <block> persist", "block drop quick from <block> to any", "block drop quick from any to <block>")


class Model:
    """A `ports.Session`. `anchor`: whether the ruleset has the line that leads to us."""

    device = Device("fw1", "pf", Role.GATEWAY)

    def __init__(self, anchor: bool = True) -> None:
        self.anchor = anchor
        self.rules: tuple[str, ...] = ()
        self.entries: list[str] = []

    def ask(self, command: str) -> str:
        match command.split():
            case ["pfctl", "-sr", "|", "grep", "-c", "'^anchor", '"switchguard"\'', "||", *_]:
                return f"{int(self.anchor)}\n"
            case ["pfctl", "-a", "switchguard", "-sr"]:
                shown = (line.replace("<block>", f"<block:{len(self.entries)}>") for line in self.rules)
                return "".join(f"{line}\n" for line in shown if line.startswith("block"))
            case ["if", "pfctl", "-a", "switchguard", "-sT", *_]:
                return "".join(f"   {entry}\n" for entry in self.entries) + "end\n"
            case ["pfctl", "-a", "switchguard", "-t", "block", "-T", "add", entry] if self.rules:
                self.entries += [entry] if entry not in self.entries else []
                return ""
            case ["pfctl", "-a", "switchguard", "-t", "block", "-T", "delete", entry] if entry in self.entries:
                self.entries.remove(entry)
                return ""
        raise CommandRefused("fw1", command, "pfctl: Table does not exist.")

    def feed(self, command: str, text: str) -> str:
        """Loading rules leaves the entries of a persistent table alone."""
        assert command == "pfctl -a switchguard -f -"
        assert tuple(text.splitlines()) == RULES
        self.rules = RULES
        return ""

    def close(self) -> None:
        pass
