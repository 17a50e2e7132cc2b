"""Linux gateways and bridges: netfilter's connection tracking, iproute2, an nftables table of our own.

Reads `conntrack -L -o extended` for both address families (conntrack-tools 1.4), /proc/sys/net/netfilter, `ip -j neigh`
and `bridge -j` (iproute2 4.18 or newer), and IF-MIB and LLDP-MIB over SNMP where the site configures it, else `ip -j`
and `lldpctl -f json0`. Writes with `nft -f -` (`_nft_table`) and, for limits, `tc -batch -` (`_linux_limits`); clears
sessions with `conntrack -D`.

Oddities: octet counts need net.netfilter.nf_conntrack_acct=1, and apply to sessions that begin after it was set;
`conntrack -D` leaves with status 1 when there was nothing to delete; a blocked client's sessions stay in the table
until they are deleted; net-snmp 5.9.3 goes on telling the first MAC of an address in ipNetToPhysicalTable after the
kernel has learnt another one, so neighbours are asked of the kernel where there is a shell; the kernel's forwarding
table lists the bridge's own and multicast addresses, marked `permanent` or `self`; unanswered neighbours stay for a
while as FAILED or INCOMPLETE; net-snmp has no bridge tables of its own.
"""

from collections.abc import Sequence

from switchguard.core.changes import Change, Diff, Enforced, Facts
from switchguard.core.model import ClientOctets, Device
from switchguard.ports import Session

from . import _linux_limits, _nft_counters, _nft_table
from ._connection_tracking import ConnectionTracking


class Linux(ConnectionTracking):
    platform = "linux"
    facts = Facts(
        penalties={
            "block": ("mac_adjacent", "address", "network"),
            "cap": ("address", "network", "everyone"),
            "limit": ("address", "network"),
            "ports": ("address", "network"),
        },
        directions="source",
        ownership="named set",
        boxes=True,
    )

    # --- counting ---

    def client_octets(self, session: Session) -> tuple[ClientOctets, ...]:
        return _nft_counters.read(session)

    def counters_script(self, device: Device) -> tuple[str, ...]:
        return _nft_counters.script(device.name, device.lan_interfaces)

    def install_counters(self, session: Session) -> None:
        _nft_counters.install(session)

    def remove_counters(self, session: Session) -> None:
        _nft_counters.remove(session)

    # --- writing ---

    def enforced(self, session: Session) -> Enforced:
        return _linux_limits.enforced(_nft_table, session)

    def render(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """The script for nftables, with every limit policed: where it can be shaped, only the gateway knows."""
        return _nft_table.script(changes)

    def preview(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.preview(_nft_table, session, changes)

    def push(self, session: Session, changes: Sequence[Change]) -> Diff:
        return _linux_limits.push(_nft_table, session, changes)
