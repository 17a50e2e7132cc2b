"""What NAPALM could do for a platform, known without NAPALM: importing that takes half a second and 25 MB of memory,
which a service that writes to nobody need not spend."""

from collections.abc import Mapping

from switchguard.ports import Endpoint

NAPALM_DRIVERS: Mapping[str, str] = {
    "arista_eos": "eos",
    "cisco_ios": "ios",
    "cisco_nxos": "nxos_ssh",
    "cisco_xe": "ios",
    "juniper_junos": "junos",
}


def has_candidates(platform: str) -> bool:
    return platform in NAPALM_DRIVERS


def speaks_eapi(platform: str, endpoint: Endpoint) -> bool:
    """Whether NAPALM reaches the device by eAPI. Commands then go the same way: SSH need not be open."""
    return NAPALM_DRIVERS.get(platform) == "eos" and endpoint.napalm_options.get("transport") != "ssh"
