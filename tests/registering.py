"""Runs whose files are there, so that they can be registered as versions."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from ratchet import ITEMS, Edit, Workshop, accuracy, int8

from edgekit.report import details
from edgekit.types.details import CandidateDetails, Details


def retrained(name: str, wrong: int) -> Edit:
    """Another network, with another reference, that has so many of the items wrong."""

    def edit(report: Any) -> None:
        figures = accuracy(ITEMS - wrong, 0)
        int8(report).update(figures, semantic_hash=hashlib.sha256(name.encode()).hexdigest())
        report["reference"] |= {
            **figures,
            "digest": hashlib.sha256(str(wrong).encode()).hexdigest(),
        }

    return edit


def run_with_files(workshop: Workshop, name: str, wrong: range, *edits: Edit) -> Path:
    """Leave a run behind with its model, its bundle, and which items it has wrong."""
    model, bundle = f"model {name}".encode(), f"bundle {name}".encode()

    def with_files(report: Any) -> None:
        int8(report)["sha256"] = hashlib.sha256(model).hexdigest()
        report["targets"][0]["bundle"] = {
            "path": str(workshop.root / "dist" / "digits.tar.gz"),
            "sha256": hashlib.sha256(bundle).hexdigest(),
            "bytes": len(bundle),
            "kind": "linux-python",
            "parts": {},
        }

    run = workshop.convert(retrained(name, len(wrong)), with_files, *edits)
    for path, content in (
        (run / "build" / "int8" / "model.tflite", model),
        (run / "dist" / "digits.tar.gz", bundle),
    ):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    bits = sum(1 << (ITEMS - 1 - item) for item in range(ITEMS) if item not in wrong)
    right = base64.b64encode(bits.to_bytes(ITEMS // 8, "big")).decode()
    kept = Details(run.name, "convert", "", candidates={"int8": CandidateDetails(right=right)})
    details.write(kept, run)
    return run
