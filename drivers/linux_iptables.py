"""Linux gateways without nftables: what `linux` reads, with iptables and ipset to write.

For kernels before 3.13 and systems that still fill netfilter with iptables. Reads as `linux` does. Writes with `ipset
restore` and `iptables-restore` (`_iptables_chains`) and, for limits, `tc -batch -` (`_linux_limits`, which polices them
where they cannot be shaped); clears sessions with `conntrack -D`. Where both are possible, take `linux`: its changes
are all or nothing, and its caps go on counting when somebody else changes a rule; here they begin anew.

Needs root, or a user who may run iptables-save, iptables-restore, ipset, tc and conntrack.
"""

from collections.abc import Sequence

from switchguard.core.changes import Change, Diff, Enforced, Facts
from switchguard.ports import Session

from . import _iptables_chains, _linux_limits
from ._connection_tracking import ConnectionTracking


class LinuxIptables(ConnectionTracking):
    platform = "linux_iptables"
    facts = Facts(
        penalties={
            "block": ("mac_adjacent", "address", "network"),
            "cap": ("address",),
            "limit": ("address",),
            "ports": ("address", "network"),
        },
        directions="source",
        ownership="named set",
        boxes=True,
        unverified=("older kernels than 6.18 count the packets of sessions that a rewritten rule finds",),
    )

    def enforced(self, session: Session) -> Enforced:
        return _linux_limits.enforced(_iptables_chains, session)

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Sets, then rules of both families, with every limit policed: what can be shaped, only the gateway knows."""
        return _iptables_chains.script(changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.preview(_iptables_chains, session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.push(_iptables_chains, session, changes)
