"""Models that mean harm, made here: none does any, with its marker file as the witness."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import loading
import numpy as np
import pytest

from edgekit.contracts.runner import typed
from edgekit.errors import EdgekitError, RunnerError, WorkerError
from edgekit.models.export import export
from edgekit.models.source import identify
from edgekit.sandbox import Sandbox, landlock, state
from edgekit.targets.devices.local import LocalDevice
from edgekit.worker import Worker

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="session")
def found(hostile_files: Path) -> dict[str, Any]:
    """What came of each hostile model, by label."""
    return loading.outcomes(hostile_files)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("immutable constant", "ImmutableConst"),
        ("resource", "WriteFile"),
        ("vocabulary of another file", "of another file"),
        ("matching files", "MatchingFiles"),
        ("loop", "WriteFile"),
        ("dataset", "TextLineDataset"),
        ("gradient", "WriteFile"),
        ("initialiser", "WriteFile"),
        ("own path", "RestoreV2"),
        ("called saver", "SaveV2"),
        ("disguised function", "named like an operator"),
        ("asset outside", "../../secret.bin"),
        ("linked", "/etc/hostname"),
    ],
)
def test_saved_model_that_does_more_than_compute_is_refused(
    found: dict[str, Any], name: str, words: str
) -> None:
    outcome = found[name]
    assert outcome.get("error") == "EK-MODEL-014", outcome
    assert words in outcome["message"]
    assert not outcome["marker"]


@pytest.mark.parametrize("name", ["two tables", "hidden table"])
@pytest.mark.parametrize("trusted", ["", " trusted"])
def test_saved_model_whose_two_tables_of_signatures_differ_is_refused(
    found: dict[str, Any], name: str, trusted: str
) -> None:
    outcome = found[name + trusted]
    assert outcome.get("error") == "EK-MODEL-027", outcome
    assert "serving_default" in outcome["message"] or "other" in outcome["message"]
    assert not outcome["marker"]


def test_every_registered_operator_is_allowed_or_refused(found: dict[str, Any]) -> None:
    registry = found["registry"]
    assert registry["tried"] > 1500
    assert registry["slipped"] == []
    # No list of what was once there.
    assert registry["unknown"] == []


@pytest.mark.parametrize(
    "words",
    [
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "PyFunc",
        "Dataset",
        "Reader",
        "Save",
        "Restore",
        "Checkpoint",
        "ImmutableConst",
        "Rpc",
        "Summary",
        "Debug",
        "Collective",
        "Nccl",
        "Send",
        "Recv",
        "RemoteCall",
        "XlaCall",
        "XlaCustomCall",
        "TPU",
        "Iterator",
        "FileSystem",
        "RecordInput",
        "FixedUnigram",
        "LoadAndRemap",
        "PrintV2",
        "VocabRemapping",
    ],
)
def test_no_operator_that_reaches_out_is_allowed(found: dict[str, Any], words: str) -> None:
    # These make a text of their input, and write nothing.
    pure = (
        "ScalarSummary",
        "HistogramSummary",
        "ImageSummary",
        "AudioSummary",
        "MergeSummary",
        "TensorSummary",
    )
    reached = [name for name in found["registry"]["allowed"] if words in name]
    assert [name for name in reached if not name.startswith(pure)] == []


def test_no_name_of_a_function_that_reaches_out_is_allowed(found: dict[str, Any]) -> None:
    calls = found["calls"]
    assert calls["exported"] > 5000
    assert calls["by name"] == calls["taken"] == calls["by identity"] == []
    assert calls["gone"] == []


def test_keras_2_file_that_calls_a_function_by_an_old_name_is_refused(
    found: dict[str, Any],
) -> None:
    assert "error" not in found["harmless call"]
    assert found["evil call"]["error"] == "EK-MODEL-005"
    assert "compat.v1.write_file" in found["evil call"]["message"]
    assert not found["evil call"]["marker"]


@pytest.mark.parametrize("name", ["call past names", "class past names", "lambda past names"])
def test_loader_uses_nothing_that_is_no_building_block_whatever_its_name(
    found: dict[str, Any], name: str
) -> None:
    assert found[name].get("error") == "EK-MODEL-005", found[name]


# With --trust: the list is lifted, the sandbox stays.
sandboxed = pytest.mark.skipif(state().abi < landlock.NETWORK_SINCE, reason="no Landlock here")


@pytest.fixture(scope="module")
def hostile(hostile_files: Path, shared: Path) -> Path:
    """The folder of the hostile models, by the name that it had when they were made."""
    with contextlib.suppress(FileExistsError):
        (shared / "hostile.part").symlink_to("hostile")
    return shared / "hostile.part" / "files"


@pytest.fixture(scope="module")
def in_sandbox(
    hostile: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Worker, Path]]:
    """A worker as a run starts one, and a folder that it may write to."""
    folder = tmp_path_factory.mktemp("sandboxed")
    sandbox = Sandbox(tuple(hostile.glob("*.h5")), (hostile / "own", folder))
    with Worker(folder / "log.txt", sandbox=sandbox) as worker:
        yield worker, folder


def trusted(worker: Any, path: Path, folder: Path) -> str:
    """What loading a trusted file in a worker ends with."""
    folder.mkdir()
    try:
        worker.call(export, identify(path, True), folder, False, True)
    except EdgekitError as error:
        return f"{error}"
    return ""


@sandboxed
def test_worker_is_shut_in_as_a_run_starts_it(
    hostile: Path, in_sandbox: tuple[Worker, Path]
) -> None:
    """By a reader that needs no TensorFlow; what models do there is among the slow ones."""
    worker, folder = in_sandbox
    with pytest.raises(WorkerError, match="EK-WORKER-005") as refused:
        # As text, for the worker may read what it is handed as a path.
        worker.call(shutil.copyfile, str(hostile / "secret.bin"), str(folder / "secret.bin"))
    assert f"the worker may not read or write {hostile / 'secret.bin'}" in str(refused.value)


@sandboxed
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"), [("outside", "marker"), ("secret", "secret.bin"), ("library", "library.so")]
)
def test_trusted_h5_is_confined_by_the_sandbox(
    hostile: Path, found: dict[str, Any], in_sandbox: tuple[Worker, Path], name: str, file: str
) -> None:
    worker, folder = in_sandbox
    told = trusted(worker, hostile / f"{name}.h5", folder / name)
    assert "EK-WORKER-005" in told, told
    assert f"the worker may not read or write {hostile / file}" in told.splitlines()[0]
    assert not (hostile / "marker").exists()


@pytest.mark.parametrize("name", ["outside", "secret", "library"])
def test_trusted_h5_does_without_a_sandbox_what_it_is_made_for(
    found: dict[str, Any], name: str
) -> None:
    free = found[f"free {name}"]
    assert "ermission denied" not in free["told"]
    assert free["marker"] == (name == "outside")


@sandboxed
@pytest.mark.slow
def test_trusted_h5_may_write_to_a_folder_of_the_run(
    hostile: Path, in_sandbox: tuple[Worker, Path]
) -> None:
    worker, folder = in_sandbox
    trusted(worker, hostile / "inside.h5", folder / "inside")
    assert (hostile / "own" / "marker").read_text() == "x"


@sandboxed
def test_saved_models_are_confined_by_the_sandbox_of_their_runner(
    hostile: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    entries = {
        name: {"id": name, "path": str(hostile / name)}
        for name in ("harmless", "loop", "immutable constant", "dataset", "matching files")
    }
    asked = {
        "mode": "bench",
        "runtime": "tensorflow",
        "inputs": {"x": str(tmp_path / "x.npy")},
        "models": list(entries.values()),
    }
    # One runner whose sandbox allows all of them: each is asked for by itself, and fails by itself.
    session = LocalDevice(tmp_path / "requests", tmp_path / "log.txt").open(typed(asked))
    said = {}
    try:
        with pytest.raises(RunnerError):
            session.ready()
        for name, entry in entries.items():
            try:
                session.ask(typed({**asked, "models": [entry]}))
            except RunnerError as error:
                said[name] = f"{error.code} {error.message}"
    finally:
        session.close()
    assert "harmless" not in said
    assert str(hostile / "marker") in said["loop"]
    for name in ("immutable constant", "dataset"):
        assert str(hostile / "secret.bin") in said[name], said
    assert all("EK-RUNNER-008" in one for one in said.values()), said
    assert not (hostile / "marker").exists()


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("name that leads out", ("",)),
        ("name from the root", ("",)),
        ("weights that are pickled", ("EK-MODEL-008",)),
        ("weights that are a pickle", ("EK-MODEL-003",)),
        ("weights behind a link", ("EK-MODEL-014",)),
        ("weights of another file", ("EK-MODEL-014",)),
        ("weights that crash", ("EK-MODEL-003",)),
        ("two configurations, the first evil", ("",)),
        ("two configurations, the last evil", ("EK-MODEL-005",)),
        ("configuration nested deeply", ("EK-MODEL-003",)),
        ("configuration that is a list", ("EK-MODEL-005",)),
        ("configuration without a class", ("EK-MODEL-008",)),
        ("metadata that is a list", ("EK-MODEL-003",)),
        ("another module of the same name", ("",)),
    ],
)
def test_archive_that_holds_more_than_a_model_does_no_harm(
    found: dict[str, Any], name: str, codes: tuple[str, ...]
) -> None:
    """It is refused, or loaded as the model that it also holds."""
    outcome = found[f"archive {name}"]
    assert outcome.get("error", "") in codes, outcome
    assert not outcome["marker"]
