"""The makes of switch that the lab can be built of: what each calls its ports, and which program answers for it.

A make is one row here and one module in lab/frontends. `switchguard lab run --switch sw1=cisco_ios ...` chooses.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from switchguard.errors import LabError

CHOSEN = "SWITCHGUARD_LAB_SWITCHES"
"""Environment variable with the choice, like sw1=cisco_ios,core=arista_eos."""


@dataclass(frozen=True, slots=True)
class Make:
    """`{}` in a name is the port's number. The kernel takes neither a slash nor more than 15 characters."""

    platform: str
    front_end: str
    """A module of lab/frontends."""
    listens: int
    """The TCP port of its management."""
    description: str
    """sysDescr."""
    kernel: str
    short: str
    """ifName."""
    long: str
    """ifDescr, and what its configuration calls the port."""
    first_index: int
    """ifIndex of port 0."""
    management: tuple[int, str, str]
    """ifIndex, ifName and ifDescr of the management port."""
    ssh: bool = True
    """Whether `listens` is SSH, and has a host key to be known."""
    settings: str = ""
    """What the site must say of such a device, with its name for {}, below `data: {switchguard: ...}`, in YAML's flow
    style."""
    over_https: str = ""
    """What it must say of one that is to be reached over HTTPS instead of SSH."""


MAKES: Mapping[str, Make] = {
    make.platform: make
    for make in (
        Make(
            platform="arista_eos",
            front_end="eos",
            listens=443,
            ssh=False,
            description="Arista Networks EOS version 4.28.3M running on an Arista Networks vEOS-lab",
            kernel="Et{}",
            short="Ethernet{}",
            long="Ethernet{}",
            first_index=1000,
            management=(999_001, "Management1", "Management1"),
            settings="napalm: {{transport: https}}, ca_file: certificates/{}.pem",
        ),
        Make(
            platform="cisco_ios",
            front_end="ios",
            listens=22,
            description=(
                "Cisco IOS Software, C2960X Software (C2960X-UNIVERSALK9-M), Version 15.2(7)E3, RELEASE SOFTWARE"
            ),
            kernel="Gi0_{}",
            short="Gi0/{}",
            long="GigabitEthernet0/{}",
            first_index=10_100,
            management=(1, "Fa0", "FastEthernet0"),
        ),
        Make(
            platform="cisco_nxos",
            front_end="nxos",
            listens=22,
            description=(
                "Cisco NX-OS(tm) Nexus9000 C93180YC-FX, Software (NXOS 64-bit), Version 9.3(5), RELEASE SOFTWARE"
            ),
            kernel="Eth1_{}",
            short="Ethernet1/{}",
            long="Ethernet1/{}",
            first_index=436_207_616,
            management=(83_886_080, "mgmt0", "mgmt0"),
            over_https="napalm: {{transport: https}}, ca_file: certificates/{}.pem",
        ),
        Make(
            platform="hp_procurve",
            front_end="procurve",
            listens=22,
            description="HP J9727A 2920-24G-PoE+ Switch, revision WB.16.08.0001, ROM WB.16.03",
            kernel="p{}",
            short="{}",
            long="{}",
            first_index=0,
            management=(4_000, "OOBM", "OOBM"),
        ),
        Make(
            platform="mikrotik_routeros",
            front_end="routeros",
            listens=22,
            description="RouterOS CRS328-24P-4S+",
            kernel="ether{}",
            short="ether{}",
            long="ether{}",
            first_index=0,
            management=(1_000, "mgmt", "mgmt"),
        ),
        Make(
            platform="juniper_junos",
            front_end="junos",
            listens=22,
            description="Juniper Networks, Inc. ex3400-24t Ethernet Switch, kernel JUNOS 21.4R3-S5.4",
            kernel="ge-0_0_{}",
            short="ge-0/0/{}",
            long="ge-0/0/{}",
            first_index=500,
            management=(33, "me0", "me0"),
        ),
    )
}
USUAL: Mapping[str, str] = {"core": "arista_eos", "sw1": "cisco_ios", "sw2": "cisco_ios"}
"""Switch -> its make, unless somebody chooses another."""


GATEWAY = "gw"
GATEWAYS = ("linux", "vyos")
"""Platforms that the gateway can be, the usual one first: its own shell, or a front end over the same kernel."""


def chosen_gateway(text: str) -> str:
    """The gateway's platform, given `gw=vyos,...`. LabError for one that there is not."""
    choices = [platform for name, _, platform in _choices(text) if name == GATEWAY]
    platform = choices[-1] if choices else GATEWAYS[0]
    if platform not in GATEWAYS:
        raise LabError(f"{GATEWAY}: no gateway of platform {platform!r}; there are: {', '.join(GATEWAYS)}")
    return platform


def _choices(text: str) -> list[tuple[str, str, str]]:
    return [choice.partition("=") for choice in text.split(",") if choice]


def chosen(text: str) -> Mapping[str, Make]:
    """Of every switch, given `sw1=cisco_ios,...`. LabError for a switch or a make that there is not."""
    chosen_gateway(text)
    wanted = dict(USUAL)
    for switch, _, platform in _choices(text):
        if switch == GATEWAY:
            continue
        if switch not in USUAL:
            raise LabError(f"no device called {switch!r}; there are: {', '.join((*USUAL, GATEWAY))}")
        if platform not in MAKES:
            raise LabError(f"{switch}: no switch of make {platform!r}; there are: {', '.join(sorted(MAKES))}")
        wanted[switch] = platform
    return {switch: MAKES[platform] for switch, platform in wanted.items()}
