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


TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "arista_eos": ("https", "https_certs", "http", "ssh"),
    "cisco_nxos": ("ssh", "https"),
}
"""Platforms that leave a choice, `napalm: {transport: ...}`; the first one is meant where nothing is said."""


def has_candidates(platform: str) -> bool:
    return platform in NAPALM_DRIVERS


def napalm_driver(platform: str, endpoint: Endpoint) -> str:
    """KeyError for a platform without candidates."""
    return "nxos" if speaks_nxapi(platform, endpoint) else NAPALM_DRIVERS[platform]


def speaks_eapi(platform: str, endpoint: Endpoint) -> bool:
    """Whether NAPALM reaches the device by eAPI. Commands then go the same way: SSH need not be open."""
    return NAPALM_DRIVERS.get(platform) == "eos" and _transport(platform, endpoint.napalm_options) != "ssh"


def speaks_nxapi(platform: str, endpoint: Endpoint) -> bool:
    """Whether everything goes over HTTPS: SSH need not be open."""
    return platform == "cisco_nxos" and _transport(platform, endpoint.napalm_options) == "https"


def needs_no_ssh(platform: str, endpoint: Endpoint) -> bool:
    return speaks_eapi(platform, endpoint) or speaks_nxapi(platform, endpoint)


def verifies_tls(platform: str, options: Mapping[str, object]) -> bool:
    """Whether the device's certificate is verified by us (tls.py), so that a `ca_file` means something."""
    return _transport(platform, options) == "https"


def trusts_anybody(platform: str, endpoint: Endpoint) -> bool:
    """Whether nothing says that it is the device: eAPI in the clear, or with `https_certs` and no `ca_file` of that."""
    options = endpoint.napalm_options
    return speaks_eapi(platform, endpoint) and not verifies_tls(platform, options) and "ca_file" not in options


def objection(platform: str, options: Mapping[str, object]) -> str:
    """What is wrong with the site's `napalm: {...}` for this platform, with the choices; "" if nothing."""
    if options and platform not in NAPALM_DRIVERS:
        return f"napalm: {platform} is not driven by NAPALM; there are: {', '.join(NAPALM_DRIVERS)}"
    if "transport" not in options:
        return ""
    if platform not in TRANSPORTS:
        told = ", ".join(f"{name} ({', '.join(ways)})" for name, ways in TRANSPORTS.items())
        return f"napalm.transport: there is one way to {platform} only; a choice have: {told}"
    if options["transport"] not in TRANSPORTS[platform]:
        ways = ", ".join(TRANSPORTS[platform])
        return f"napalm.transport: no way to {platform} called {options['transport']!r}; there are: {ways}"
    return ""


def _transport(platform: str, options: Mapping[str, object]) -> object:
    return options.get("transport", TRANSPORTS.get(platform, ("",))[0])
