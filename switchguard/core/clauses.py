"""What of a finding's sentence its own client may read: the numbers of known clauses, and nothing else.

The sentence itself is for operators: it may name other people's addresses, devices of the network, or what a person
wrote. Mails and the landing page take from it what is here.
"""

import re
from collections.abc import Mapping

from switchguard.core.decide import is_manual
from switchguard.core.penalties import Verdict

_SPAN = r"\d+ (?:d|h|min|s)\b(?: \d+ (?:d|h|min|s)\b)?"
_DATA = r"[\d.,]+ [kMGT]?B"
_RATE = r"[\d.,]+ [kMGT]?bit/s"
_SINCE = r"(?: by \d+ devices of one person)? since [\d :-]+"
CLAUSES: Mapping[str, re.Pattern[str]] = {
    "hosts": re.compile(r"(?P<hosts>[\d,]+) of (?P<sessions>[\d,]+) sessions go to different hosts"),
    "active": re.compile(r"(?P<share>\d+) % active"),
    "unanswered": re.compile(r"(?P<share>\d+) % unanswered"),
    "high_ports": re.compile(r"(?P<share>\d+) % to ports above 1024"),
    "within": re.compile(rf"(?P<connections>[\d,]+) connections within (?P<span>{_SPAN})"),
    "rhythm": re.compile(rf"(?P<connections>[\d,]+) connections in (?P<span>{_SPAN})"),
    "quota": re.compile(
        rf"(?P<used>{_DATA}) (?:received|sent|received and sent){_SINCE}, "
        rf"of (?P<allowed>{_DATA}) a (?P<per>hour|day|week|month)"
    ),
    "share": re.compile(rf"(?P<rate>{_RATE}) (?:in|out) is (?P<share>\d+)% of the link's (?P<capacity>{_RATE})"),
}
"""By the name of their text on the landing page."""


def clauses(verdict: Verdict) -> Mapping[str, re.Match[str]]:
    """Nothing of what a person wrote, of what a subnet did together, or of what another MAC did whose penalty went over
    to this one."""
    if is_manual(verdict) or verdict.network is not None or verdict.follows is not None:
        return {}
    found = {name: pattern.search(verdict.because) for name, pattern in CLAUSES.items()}
    return {name: it for name, it in found.items() if it is not None}
