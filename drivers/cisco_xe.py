"""Cisco IOS-XE: ISR, ASR 1000, CSR and Catalyst 8000 routers, Catalyst 9000, 3650 and 3850 switches.

Reads and writes what `cisco_ios` does, under netmiko's other name; a site may call such a device either. What differs:

* every translation table ends with `Total number of translations: N`, verbose ages are absolute by the device's clock,
  and from 17.x on verbose rows count packets and octets; `_cisco_nat` tells the layouts apart by themselves;
* an ASR 1000 is known to be asked for its sizes in CISCO-NAT-EXT-MIB and NAT-MIB (`_cisco_nat_snmp`);
* a policer may be shown with its actions on lines of their own. Only its rate is compared.

`show ip nat limits all-host` counts the translations of each host, where the site caps all hosts. It tells neither
remote hosts nor activity, so a live router is not asked for it; a saved one is ranked (`_cisco_limits`).
Sources: those of `cisco_ios`; recordings of genieparser; exporters for ASR 1000 that ask for these objects.
"""

from dataclasses import replace

from .cisco_ios import CiscoIOS


class CiscoXE(CiscoIOS):
    platform = "cisco_xe"
    facts = replace(
        CiscoIOS.facts,
        unverified=(
            *CiscoIOS.facts.unverified,
            "which of the three MIBs with the sizes of translation tables a release of IOS-XE fills",
        ),
    )
