"""Every compression scheme on two networks, then int8; `--write` puts the table into README.md.

Needs EDGEKIT_TEST_DATA. Finished rows are kept in benchmarks/.edgekit/compression.json, and what is
trained in the store beside it: stopped and started again, it goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import networks
from rows import machine, replace_block

from edgekit import Project
from edgekit.api import Options, compress
from edgekit.compression.crossing import cross
from edgekit.pipeline.make import obtain
from edgekit.pipeline.plan import Plan
from edgekit.pipeline.run import Run
from edgekit.store import write_text
from edgekit.types import Candidate, Model, Report, Silent

HERE = Path(__file__).resolve().parent
RESULTS = HERE / ".edgekit" / "compression.json"
BASES = HERE / ".edgekit" / "bases"
START, END = "<!-- compression -->", "<!-- end of compression -->"
EPOCHS = 1
# Fewer channels take longer to win back: on the DS-CNN 4 epochs missed the bar on the test items.
CHANNEL_EPOCHS = {"resnet8": 4, "ds_cnn": 8}
PRUNE_50 = {"prune": {"sparsity": 0.5}}
# Three quarters take longer to win back: one epoch missed the bar on the test items.
PRUNE_75 = {"prune": {"sparsity": 0.75}, "finetune_epochs": 3}
CLUSTER, QAT = {"cluster": {"clusters": 16}}, {"quantization_aware": True}
SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "prune 50 %": PRUNE_50,
    "prune 75 %": PRUNE_75,
    "prune 2:4": {"prune": {"pattern": "2:4"}},
    "cluster 16": CLUSTER,
    "QAT": QAT,
    "PQAT 50 %": PRUNE_50 | QAT,
    "PQAT 75 %": PRUNE_75 | QAT,
    "CQAT 16": CLUSTER | QAT,
    "PCQAT 50 % 16": PRUNE_50 | CLUSTER | QAT,
    "channels 50 % MACs": {"channels": {"macs": 0.5}},
}
# The schemes that a Keras 2 build with the same weights is put through as well.
BOTH = ("PQAT 50 %", "channels 50 % MACs")
NETWORKS = ("resnet8", "ds_cnn")
NONE = "none"
FASTER = 1.3


@dataclass(frozen=True)
class Bar:
    """Most points that int8 may lose to float, and how much of the zip and the time may stay."""

    points: float
    zipped: float | None = None
    ratio: float | None = None


CHANNELS = Bar(1.5, ratio=1 / FASTER)
# On the DS-CNN of 22,000 weights metadata dominates the file: nothing is asked of its size.
BARS: Mapping[tuple[str, str], Bar] = {
    ("resnet8", NONE): Bar(0.5),
    ("resnet8", "QAT"): Bar(0.5),
    ("resnet8", "PQAT 50 %"): Bar(1.0, zipped=0.75),
    ("resnet8", "PQAT 75 %"): Bar(2.0, zipped=0.55),
    ("resnet8", "PCQAT 50 % 16"): Bar(1.5, zipped=0.62),
    ("resnet8", "channels 50 % MACs"): CHANNELS,
    ("ds_cnn", NONE): Bar(0.5),
    ("ds_cnn", "QAT"): Bar(0.5),
    ("ds_cnn", "channels 50 % MACs"): CHANNELS,
}
# How far a Keras 2 build may end from the Keras 3 one, in points.
GENERATIONS = 0.5


@dataclass(frozen=True)
class Row:
    """One scheme on one network, in int8: metric (share), bytes, and latency to unpruned int8."""

    network: str
    generation: str
    scheme: str
    accuracy: float
    bytes: int
    zipped: int
    ratio: float | None
    low: float | None
    high: float | None
    reference: float
    macs: float | None = None
    epochs: int = EPOCHS


def base(network: str, data: Path) -> Path:
    """The network as edgekit trains it: a `.keras` of Keras 3, and its Keras 2 build beside it."""
    path = BASES / f"{network}.keras"
    if not path.exists():
        table = _table(f"networks.py:{network}", data) | {
            "train": {"epochs": networks.EPOCHS, "batch_size": networks.BATCH_SIZE}
        }
        plan = Plan.of(Project.parse(table, HERE), Options(evaluate=False))
        with Run(plan, Silent()) as run:
            BASES.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(obtain(run).model.path, path)
    return path


def keras2(path: Path) -> Path:
    """The same network and weights as a Keras 2 `.h5`."""
    twin = path.with_name(f"{path.stem}.keras2.h5")
    if not twin.exists():
        folder = path.with_name(f"{path.stem}.crossing")
        folder.mkdir(exist_ok=True)
        cross(Model(path, "keras", "keras3", "", own=True), (), {}, HERE, folder, False)
        (folder / "model.h5").rename(twin)
    return twin


def _table(source: str, data: Path) -> dict[str, Any]:
    return {
        "model": {"source": source},
        "data": {
            "train": str(data / "fashion_mnist" / "fashion_train.npz"),
            "evaluate": str(data / "fashion_mnist" / "fashion_test.npz"),
            "preprocess": {"scale": "1/255"},
        },
        "train": {"batch_size": networks.BATCH_SIZE},
        "convert": {"precisions": ["int8"]},
    }


def measure(network: str, generation: str, source: Path, scheme: str, data: Path) -> list[Row]:
    """The scheme's row, and the uncompressed model's that was measured beside it."""
    table = _table(str(source), data)
    epochs = CHANNEL_EPOCHS[network] if "channels" in SCHEMES[scheme] else EPOCHS
    table["compress"] = {"finetune_epochs": epochs, **SCHEMES[scheme]}
    report = compress(Project.parse(table, HERE), Options(force=True))
    plain, made = (_candidate(report, name) for name in ("int8@uncompressed", "int8"))
    return [
        _row(network, generation, NONE, plain, report),
        _row(network, generation, scheme, made, report),
    ]


def _candidate(report: Report, name: str) -> Candidate:
    return next(candidate for candidate in report.candidates if candidate.id == name)


def _row(network: str, generation: str, scheme: str, candidate: Candidate, report: Report) -> Row:
    ratio = candidate.evaluation.uncompressed_ratio
    macs = next((one.macs for one in report.compression.schemes if one.macs), None)
    return Row(
        network=network,
        generation=generation,
        scheme=scheme,
        accuracy=candidate.evaluation.metrics["accuracy"].value,
        bytes=candidate.bytes,
        zipped=candidate.compressed_bytes,
        ratio=ratio.value if ratio else None,
        low=ratio.low if ratio else None,
        high=ratio.high if ratio else None,
        reference=report.reference_evaluation.metrics["accuracy"].value,
        macs=macs[1] / macs[0] if macs and scheme != NONE else None,
        epochs=0 if scheme == NONE else report.compression.schemes[0].epochs,
    )


def results() -> dict[str, Row]:
    """The rows that are done, by network, generation and scheme."""
    if not RESULTS.exists():
        return {}
    return {name: Row(**row) for name, row in json.loads(RESULTS.read_text()).items()}


def run(data: Path, wanted: tuple[str, ...]) -> None:
    """Measure what is not done yet."""
    jobs = [
        (network, generation, scheme)
        for network in NETWORKS
        for generation in ("Keras 3", "Keras 2")
        for scheme in (SCHEMES if generation == "Keras 3" else BOTH)
        if not wanted or network in wanted or scheme in wanted
    ]
    for network, generation, scheme in jobs:
        done = results()
        if f"{network} {generation} {scheme}" in done:
            continue
        print(network, generation, scheme, "...", flush=True)
        path = base(network, data)
        source = path if generation == "Keras 3" else keras2(path)
        for row in measure(network, generation, source, scheme, data):
            done.setdefault(f"{row.network} {row.generation} {row.scheme}", row)
        rows = {name: asdict(row) for name, row in done.items()}
        write_text(RESULTS, json.dumps(rows, indent=1))
        print(" ", done[f"{network} {generation} {scheme}"], flush=True)


COLUMNS = (
    "network",
    "scheme",
    "epochs",
    "int8 accuracy",
    "points to float",
    "bytes",
    "zip",
    "zip ratio",
    "latency ratio",
    "bar",
)


def missed(row: Row, done: Mapping[str, Row]) -> list[str] | None:
    """The bars that a row does not keep; None where there is none for it."""
    if row.generation == "Keras 2":
        other = done.get(f"{row.network} Keras 3 {row.scheme}")
        apart = abs(row.accuracy - other.accuracy) * 100 if other else 0.0
        return [f"{apart:.2f} points from Keras 3"] if apart > GENERATIONS else []
    bar = BARS.get((row.network, row.scheme))
    if bar is None:
        return None
    plain = done[f"{row.network} {row.generation} {NONE}"]
    found = []
    if (row.reference - row.accuracy) * 100 > bar.points:
        found.append(f"more than {bar.points} points")
    if bar.zipped is not None and row.zipped > bar.zipped * plain.zipped:
        found.append(f"zip above {bar.zipped}")
    if bar.ratio is not None and (row.ratio is None or row.ratio > bar.ratio):
        found.append(f"less than {FASTER} times faster")
    return found


def lines(done: Mapping[str, Row]) -> Iterator[str]:
    """The table in Markdown."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|" + " --- |" * len(COLUMNS)
    order = list(SCHEMES)
    for row in sorted(
        done.values(),
        key=lambda one: (
            NETWORKS.index(one.network),
            one.generation == "Keras 2",
            -1 if one.scheme == NONE else order.index(one.scheme),
        ),
    ):
        plain = done[f"{row.network} {row.generation} {NONE}"]
        cells = (
            row.network if row.generation == "Keras 3" else f"{row.network}, {row.generation}",
            f"{row.scheme} ({row.macs:.0%} left)" if row.macs else row.scheme,
            "" if row.scheme == NONE else str(row.epochs),
            f"{row.accuracy:.2%}",
            f"{(row.accuracy - row.reference) * 100:+.2f}",
            f"{row.bytes:,}",
            f"{row.zipped:,}",
            f"{row.zipped / plain.zipped:.2f}",
            "" if row.ratio is None else f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}]",
            _kept(missed(row, done)),
        )
        yield f"| {' | '.join(cells)} |"


def _kept(found: list[str] | None) -> str:
    if found is None:
        return ""
    return f"**no**: {', '.join(found)}" if found else "kept"


def main() -> int:
    folder = os.environ.get("EDGEKIT_TEST_DATA")
    if not folder:
        print("unavailable: EDGEKIT_TEST_DATA does not name a folder with fashion_mnist/")
        return 3
    run(Path(folder), tuple(word for word in sys.argv[1:] if not word.startswith("-")))
    done = results()
    table = [machine(), "", *lines(done)]
    print("\n".join(table))
    if "--write" in sys.argv[1:]:
        for path in (HERE / "README.md", HERE.parent / "docs" / "compression.md"):
            replace_block(path, START, END, table)
    return 1 if any(missed(row, done) for row in done.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
