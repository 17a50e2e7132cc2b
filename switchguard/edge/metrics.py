"""What the service sees and does, as numbers for Prometheus, on a page of its own.

No client is ever named: labels are devices, tables, rules, kinds of penalties, safeguards and outcomes. Of those there
are few, and they tell nothing about a person. docs/metrics.md describes every number; a test holds that.
"""

from collections import Counter as Count
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    start_http_server,
)

from switchguard.core.changes import Outcome
from switchguard.core.model import Gap, Snapshot
from switchguard.core.penalties import Finding, Penalty, Refusal
from switchguard.errors import Unreachable

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library forgot; nobody asks when a number began


@dataclass(frozen=True, slots=True)
class PassNumbers:
    """What one pass came to."""

    at: datetime
    clients: int
    unattributed: int
    findings: tuple[Finding, ...]
    penalties: tuple[Penalty, ...]
    """Those that stand."""
    refusals: tuple[Refusal, ...]
    outcomes: tuple[Outcome, ...]
    gaps: tuple[Gap, ...]
    seconds: float
    paused: bool
    judging: bool


class Metrics:
    """Safe for threads. Numbers of the last pass replace those of the one before; the others only ever grow."""

    def __init__(self, ledger_bytes: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._server: WSGIServer | None = None
        here = self.registry
        self._entries = Gauge("switchguard_nat_entries", "Translations of a gateway.", ["device"], registry=here)
        self._limit = Gauge("switchguard_nat_limit", "How many it can hold.", ["device"], registry=here)
        self._rows = Gauge("switchguard_table_rows", "Rows of a table.", ["device", "table"], registry=here)
        self._reads = Summary(
            "switchguard_table_read_seconds", "What reading a table took.", ["device", "table"], registry=here
        )
        self._octets = Counter(
            "switchguard_table_read_bytes", "What a device sent for a table.", ["device", "table"], registry=here
        )
        self._clients = Gauge("switchguard_clients", "Clients in the last pass.", registry=here)
        self._unattributed = Gauge(
            "switchguard_unattributed", "Usage that nobody is blamed for, in the last pass.", registry=here
        )
        self._findings = Gauge("switchguard_findings", "Over a threshold in the last pass.", ["rule"], registry=here)
        self._penalties = Gauge("switchguard_penalties", "Penalties that stand.", ["kind"], registry=here)
        self._refusals = Gauge("switchguard_refusals", "Declined in the last pass.", ["safeguard"], registry=here)
        self._changes = Counter("switchguard_changes", "Changes of devices.", ["device", "outcome"], registry=here)
        self._gaps = Gauge("switchguard_gap", "1: a table that was not got.", ["device", "table"], registry=here)
        self._pass = Summary("switchguard_pass_seconds", "What a pass took, from poll to outcome.", registry=here)
        self._last = Gauge("switchguard_last_pass_timestamp_seconds", "When the last pass was.", registry=here)
        self._paused = Gauge("switchguard_paused", "1: all writes are paused.", registry=here)
        self._judging = Gauge("switchguard_judging", "0: nobody is judged, the view broke.", registry=here)
        self._stretch = Gauge(
            "switchguard_nat_period_stretch", "How many times as rarely as configured NAT is read.", registry=here
        )
        self._skipped = Gauge(
            "switchguard_polls_skipped", "Turns left out, still busy with the last.", ["job"], registry=here
        )
        self._following = Gauge(
            "switchguard_stream_up", "1: sessions are followed as they begin.", ["device"], registry=here
        )
        self._losses = Counter("switchguard_stream_losses", "Streams that were lost.", ["device"], registry=here)
        ledger = Gauge("switchguard_ledger_bytes", "Size of the ledger's file.", registry=here)
        ledger.set_function(ledger_bytes)

    # --- telling -----------------------------------------------------------------------------------------------------

    def read(self, snapshot: Snapshot) -> None:
        """A gathering, whatever it was for."""
        for reading in snapshot.readings:
            self._rows.labels(reading.device, reading.table).set(reading.rows)
            self._reads.labels(reading.device, reading.table).observe(reading.seconds)
            if reading.octets is not None:
                self._octets.labels(reading.device, reading.table).inc(reading.octets)
        for size in snapshot.nat_sizes:
            self._entries.labels(size.device).set(size.entries)
            if size.limit is not None:
                self._limit.labels(size.device).set(size.limit)

    def passed(self, seen: PassNumbers) -> None:
        self._clients.set(seen.clients)
        self._unattributed.set(seen.unattributed)
        self._pass.observe(seen.seconds)
        self._last.set(seen.at.timestamp())
        self._paused.set(seen.paused)
        self._judging.set(seen.judging)
        _replace(self._findings, (found.rule for found in seen.findings))
        _replace(self._penalties, (penalty.kind for penalty in seen.penalties))
        _replace(self._refusals, (refusal.safeguard for refusal in seen.refusals))
        self._gaps.clear()
        for gap in seen.gaps:
            self._gaps.labels(gap.device, gap.table).set(1)
        for outcome in seen.outcomes:
            self._changes.labels(outcome.change.slot.device, outcome.state).inc()

    def keeps_time(self, stretched: float, skipped: Mapping[str, int], following: Mapping[str, bool]) -> None:
        """How the polls and streams are doing."""
        self._stretch.set(stretched)
        for job, turns in skipped.items():
            self._skipped.labels(job).set(turns)
        self._following.clear()
        for device, up in following.items():
            self._following.labels(device).set(up)

    def lost(self, device: str) -> None:
        """A stream."""
        self._losses.labels(device).inc()

    # --- showing -----------------------------------------------------------------------------------------------------

    def serve(self, address: str, port: int) -> int:
        """The port, which the system chooses for 0. Unreachable if somebody else has it."""
        try:
            self._server, _thread = start_http_server(port, address, self.registry)
        except OSError as error:
            raise Unreachable("metrics", f"cannot listen on {address}:{port}: {error.strerror}") from error
        return self._server.server_port

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _replace(gauge: Gauge, labels: Iterable[str]) -> None:
    """What was there before and is not any more is gone."""
    gauge.clear()
    for label, number in Count(labels).items():
        gauge.labels(label).set(number)
