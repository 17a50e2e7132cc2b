"""Spellings of a MAC that vendors want; `Mac.dotted()` and `str(mac)` are the other two."""

from netutils.mac import mac_to_format

from switchguard.core.model import Mac


def six_dash_six(mac: Mac) -> str:
    """ProCurve: 020000-000007."""
    digits = str(mac_to_format(str(mac), "MAC_NO_SPECIAL"))
    return f"{digits[:6]}-{digits[6:]}"


def dashed(mac: Mac) -> str:
    """Huawei: 0200-0000-0007."""
    return str(mac_to_format(str(mac), "MAC_DASH_FOUR"))


def colons_upper(mac: Mac) -> str:
    """RouterOS: 02:00:00:00:00:07 in capitals."""
    return str(mac_to_format(str(mac), "MAC_COLON_TWO")).upper()
