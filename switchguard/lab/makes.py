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
    """What the site must say of such a device, below `data: {switchguard: ...}`, in YAML's flow style."""


MAKES: Mapping[str, Make] = {
    make.platform: make
    for make in (
        Make(
            platform="arista_eos",
            front_end="eos",
            listens=80,
            ssh=False,
            description="Arista Networks EOS version 4.28.3M running on an Arista Networks vEOS-lab",
            kernel="Et{}",
            short="Ethernet{}",
            long="Ethernet{}",
            first_index=1000,
            management=(999_001, "Management1", "Management1"),
            settings="napalm: {transport: http}",
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
    )
}
USUAL: Mapping[str, str] = {"core": "arista_eos", "sw1": "cisco_ios", "sw2": "cisco_ios"}
"""Switch -> its make, unless somebody chooses another."""


def chosen(text: str) -> Mapping[str, Make]:
    """Of every switch, given `sw1=cisco_ios,...`. LabError for a switch or a make that there is not."""
    wanted = dict(USUAL)
    for choice in filter(None, text.split(",")):
        switch, _, platform = choice.partition("=")
        if switch not in USUAL:
            raise LabError(f"no switch called {switch!r}; there are: {', '.join(USUAL)}")
        if platform not in MAKES:
            raise LabError(f"{switch}: no switch of make {platform!r}; there are: {', '.join(sorted(MAKES))}")
        wanted[switch] = platform
    return {switch: MAKES[platform] for switch, platform in wanted.items()}
