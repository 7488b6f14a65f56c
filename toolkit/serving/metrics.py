"""What a server counts, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from a small network on this machine to what hardly anybody waits for.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PREFIX = "edgekit_serve_"


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        # When a series began is of use to nobody here, and doubles the text.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            f"{PREFIX}requests", "Requests by what they were answered with.",
            ("model", "arm", "version", "code"), registry=own,
        )  # fmt: skip
        self.seconds = Histogram(
            f"{PREFIX}request_seconds", "From a request's head to its answer.", ("arm",),
            buckets=BUCKETS, registry=own,
        )  # fmt: skip
        self.computing = Histogram(
            f"{PREFIX}runner_seconds", "What the model itself took.", ("arm",),
            buckets=BUCKETS, registry=own,
        )  # fmt: skip
        self.items = Counter(f"{PREFIX}items", "Items that were answered.", ("arm",), registry=own)
        self.in_flight = Gauge(
            f"{PREFIX}in_flight", "Requests that are being answered.", registry=own
        )
        self.queue = Gauge(f"{PREFIX}queue_length", "Requests that wait.", ("arm",), registry=own)
        self.ready = Gauge(
            f"{PREFIX}ready", "1 where a version can answer.", ("arm",), registry=own
        )
        self.reloads = Counter(
            f"{PREFIX}reloads", "Reloads by outcome.", ("outcome",), registry=own
        )
        self.shadow = Counter(
            f"{PREFIX}shadow_items", "Items that the version in the shadow answered too.",
            ("outcome",), registry=own,
        )  # fmt: skip
        self.feedback = Counter(
            f"{PREFIX}feedback", "Answers of which something became known later.",
            ("arm", "outcome"), registry=own,
        )  # fmt: skip
        self.restarts = Counter(
            f"{PREFIX}runner_restarts", "Runners started anew after a crash or a hang.",
            ("arm",), registry=own,
        )  # fmt: skip

    def text(self) -> bytes:
        """Return all of them, as Prometheus reads them."""
        return bytes(generate_latest(self.registry))
