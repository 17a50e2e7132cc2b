"""One spelling per port: `Gi0/1` and `GigabitEthernet0/1` are the same place, and nothing else reaches a command line.

Cisco's ifName is the short spelling and its configuration the long one; on EOS both are long. Abbreviations are those
of netutils, with three corrections for IOS: `Vl100` is `Vlan100`, `Hu1/0/3` is `HundredGigE1/0/3`, `Fi` is five
gigabit.
"""

import re

from netutils.interface import abbreviated_interface_name, canonical_interface_name

from switchguard.errors import DeviceError

_LONG = {"Vl": "Vlan", "Hu": "HundredGigE", "HundredGigE": "HundredGigE", "Fi": "FiveGigabitEthernet"}
_SHORT = {"Vlan": "Vl", "HundredGigE": "Hu", "FiveGigabitEthernet": "Fi"}
_PORT = re.compile(r"[A-Za-z][A-Za-z-]*\d+(?:[/.:]\d+)*")


def is_port(text: str) -> bool:
    """Letters, then numbers: `Gi1/0/1`, `Port-channel12`, `Ethernet3/1`, `GigabitEthernet2.390`."""
    return _PORT.fullmatch(text) is not None


def short(port: str) -> str:
    """As IOS tells it in ifName and `show mac address-table`. A name of an unknown sort stays as it is."""
    if not is_port(port):
        return port
    return str(abbreviated_interface_name(port, addl_name_map=_LONG, addl_reverse_map=_SHORT))


def long(port: str) -> str:
    """As a configuration has it, apart from the case of EOS's `Port-Channel`."""
    return str(canonical_interface_name(port, addl_name_map=_LONG)) if is_port(port) else port


def for_a_command(device: str, port: str) -> str:
    """The long spelling of a port that came from the network. DeviceError unless it is a port's name and no more."""
    if not is_port(port):
        raise DeviceError(device, f"{port!r} is no name of a port, so it is not put into a command")
    return long(port)


_HUAWEI_SHORT = {"GE": "GigabitEthernet", "XGE": "XGigabitEthernet", "Eth": "Ethernet"}
_HUAWEI_PORT = re.compile(r"\d*[A-Za-z][A-Za-z-]*\d+(?:/\d+)*(?:\.\d+)?")


def is_huawei_port(text: str) -> bool:
    """`GE0/0/1`, `XGigabitEthernet0/0/1`, `10GE1/0/1`, `Eth-Trunk4`, `Vlanif813`, `GE0/2/5.903`."""
    return _HUAWEI_PORT.fullmatch(text) is not None


def huawei(port: str) -> str:
    """The long spelling of VRP 5: its tables say XGE where netutils would understand TenGigabitEthernet."""
    return str(canonical_interface_name(port, addl_name_map=_HUAWEI_SHORT)) if is_huawei_port(port) else port
