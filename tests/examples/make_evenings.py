"""Writes the examples' evenings anew: `python tests/examples/make_evenings.py`. A test compares."""

from pathlib import Path

import evening_campus_vpn
import evening_conference
import evening_mail_server
import evening_netperf_server
import evening_penalty_box

from switchguard.edge.evening import save_evening

EXAMPLES = Path(__file__).parents[2] / "examples"


def main() -> None:
    save_evening(EXAMPLES / "campus-vpn/evening.json.gz", evening_campus_vpn.evening())
    save_evening(EXAMPLES / "conference/evening.json.gz", evening_conference.evening())
    save_evening(EXAMPLES / "mail-server/evening.json.gz", evening_mail_server.evening())
    save_evening(EXAMPLES / "netperf-server/evening.json.gz", evening_netperf_server.evening())
    save_evening(EXAMPLES / "penalty-box/evening.json.gz", evening_penalty_box.evening())


if __name__ == "__main__":
    main()
