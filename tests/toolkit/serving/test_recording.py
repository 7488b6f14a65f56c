"""`edgekit serve --record`: what the server counts is what `edgekit monitor` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import CRASH, NAN, doubler_bundle, raw_items, serving

from conftest import answer
from edgekit import api
from edgekit.serving.recording import Recording
from edgekit.serving.runner import Answer
from edgekit.serving.source import Source, read_source
from edgekit.targets.runners.probe import probe_model
from edgekit.targets.runners.recorder import bounds
from edgekit.types import Status

PREDICT = "/v1/models/doubler:predict"


def asked(server: Any, items: Any, raw: bool) -> None:
    for part in np.array_split(items, 20):
        body = {"instances": part.tolist(), "signature_name": "raw"}
        if not raw:
            body = {"instances": (0.5 * part + 1).tolist()}
        assert server.ask(PREDICT, body)[0] == 200


def test_monitor_passes_what_the_server_was_built_for_and_sees_planted_drift(
    tmp_path: Path,
) -> None:
    bundle = doubler_bundle(tmp_path)
    with serving(tmp_path, bundle, "--record", "well", "--raw-items", 30) as server:
        # Items that the client prepared are counted as they were before.
        asked(server, raw_items(1500, seed=2), raw=True)
        asked(server, raw_items(1500, seed=3), raw=False)
        assert server.end() == 0
    found = api.monitor(bundle, [tmp_path / "well" / "1002003"], items=tmp_path / "look")
    assert (found.status, found.items) == (Status.PASSED, 3000), found
    assert (found.raw_items, found.raw_seen, found.raw_written) == (30, 3000, 30)
    # Items are as they were asked, prepared or not, and stand beside what was answered.
    look, answers = np.load(tmp_path / "look" / "x.npy"), tmp_path / "look" / "answers" / "y.npy"
    sent = np.concatenate([raw_items(1500, seed=2), raw_items(1500, seed=3)])
    assert np.abs(look[:, None] - sent).max(axis=2).min(axis=1).max() < 1e-5
    np.testing.assert_allclose(np.load(answers), 2 * (0.5 * look + 1), atol=1e-5)
    # Forty requests are forty times, however many items each had.
    assert next(row.n for row in found.rows if row.name == "latency p50") == 40
    with serving(tmp_path, bundle, "--record", "drifted") as server:
        drifted = raw_items(3000, seed=4)
        drifted[:, 2] += 1
        asked(server, drifted, raw=True)
        for value in (NAN, CRASH):
            assert server.predict([value, 0, 0, 0])[0] == 500
        assert server.end() == 0
    assert not list((tmp_path / "drifted").rglob("items*"))
    done = answer("monitor", bundle, "drifted/1002003", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "x[2]" in done.stdout


@pytest.mark.slow
def test_records_need_a_bundle_with_golden_statistics(tmp_path: Path) -> None:
    (tmp_path / "adder.tflite").write_bytes(probe_model())
    done = answer("serve", "adder.tflite", "--port", 0, "--record", "records", cwd=tmp_path)
    assert (done.returncode, "EK-SERVE-007" in done.stderr) == (2, True), done.stderr


def test_records_wait_for_a_disk_that_is_full_and_nothing_fails(tmp_path: Path) -> None:
    model = read_source(Source(doubler_bundle(tmp_path)), tmp_path / "unpacked")
    blocked = tmp_path / "records"
    blocked.write_text("where the folder should be")
    recording = Recording(model, blocked)
    answered = Answer({"y": np.ones((500, 4), np.float32)}, 0.5)
    for _ in range(3):
        recording.answered({"x": raw_items(500, seed=5)}, True, answered)
    assert "records" in recording.problem
    blocked.unlink()
    recording.close()
    assert recording.problem == ""
    (record,) = map(json.loads, (blocked / "records.jsonl").read_text().splitlines())
    assert record["n"] == 1500
    # Half a second of 500 items is a millisecond of one: a time each request.
    (low, high), count = bounds(int(*record["latency"]["buckets"])), record["latency"]["n"]
    assert low <= 1_000_000 < high
    assert count == 3
