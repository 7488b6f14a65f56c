"""Fixtures: models and runs that many tests look at, made once for all test processes."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import forking
import numpy as np
import pytest

from edgekit.targets.devices.local import LocalDevice
from edgekit.targets.runners import RUNNER_FILES

TESTS = Path(__file__).parent
EDGEKIT = Path(sys.executable).with_name("edgekit")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Every test process and command would compile edgekit again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell's background job ignores Ctrl-C, and so would every command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# They hold fixtures and are imported from, too: whichever comes first, their asserts are explained.
pytest.register_assert_rewrite("crashing", "refusing", "serial_boards")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tflm", type=Path, metavar="PATH", help="a checkout of TFLM, built for Cortex-M4"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each process begins with its own part of the tests: fewer wait for the same fixture."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


# Options of a bench that proves a path, and measures as little as it can.
_TIMES = ("--min-seconds", 0.05, "--max-seconds", 0.1, "--max-runs", 50)
BRIEF_BENCH = ("--no-calibrate", *_TIMES, "--launches", 2, "--precision-goal", "90%", "--json")
# Two launches bound nothing where the second is half as fast; so many decide on any host.
SURE_LAUNCHES = ("--launches", "8")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all test processes of one session see; of all sessions, where CI names it."""
    if named := os.environ.get("EDGEKIT_TEST_SHARED"):
        return Path(named)
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is the target linux-x86_64, whatever machine runs the tests."""
    monkeypatch.setattr("edgekit.targets.catalog.host", lambda: "linux-x86_64")


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> None:
    """Workers of the test process find TensorFlow imported: they start in no time."""
    forking.fork_workers()


@pytest.fixture
def new_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that start as a user's do: where a test is of just that."""
    monkeypatch.setattr("edgekit.worker.client.subprocess", subprocess)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The test process's name; "master" without pytest-xdist."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``make`` in the first process that asks; others wait for it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder


def edgekit(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user does."""
    return subprocess.run(
        [EDGEKIT, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def answer(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command answers, found within this process: without a second to start it."""
    from edgekit.cli.main import run

    words, out, err = [str(one) for one in arguments], io.StringIO(), io.StringIO()
    terminate = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        for name, value in {"NO_COLOR": "1", **environment}.items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
    signal.signal(signal.SIGTERM, terminate)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


# Launches that start at once, each of which times a few runs.
FEW_RUNS = """
from dataclasses import replace
from edgekit.pipeline import side_by_side
side_by_side.SIDE_BY_SIDE = replace(
    side_by_side.SIDE_BY_SIDE, min_runs=6, min_seconds=0.006, max_warmup_seconds=0.001, blocks=1,
    together=6, max_launches=6,
)
"""
FORKING = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from forking import fork_workers
fork_workers()
sys.path.remove({str(TESTS)!r})
"""
BRIEF = f"{FORKING}\nfrom edgekit.cli import main\n{FEW_RUNS}\nmain()"


def brief(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command with few timed runs, of launches that start at once."""
    return subprocess.run(
        [sys.executable, "-c", BRIEF, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **forking.place(), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def one_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process."""
    from edgekit.pipeline import side_by_side

    usual = side_by_side.SIDE_BY_SIDE
    monkeypatch.setattr(side_by_side, "SIDE_BY_SIDE", usual)
    exec(FEW_RUNS)


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process measure no latency, which is not what the test looks at."""
    from edgekit.pipeline import judge

    def untouched(_run: Any, _reference: Any, base: Any, judged: Any, _items: Any) -> Any:
        return base, judged

    monkeypatch.setattr(judge, "_time", untouched)
    # Nor do they start TensorFlow for it ahead of time.
    monkeypatch.setattr("edgekit.pipeline.start_reference", lambda *_: None)
    monkeypatch.setattr("edgekit.pipeline.run.Run.start_ahead", lambda _: None)


@pytest.fixture(scope="session")
def started_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A worker that has been started, in the environment that all tests begin with."""
    from edgekit.worker import Worker

    with Worker(tmp_path_factory.mktemp("worker") / "log.txt") as worker:
        assert worker.call(os.getpid) != os.getpid()
        yield worker


class Lent:
    """A worker that the runs of many tests share: each would import TensorFlow again."""

    # Nothing is started ahead of time for it.
    started = False

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._worker.call(function, *args, **kwargs)

    def stop(self) -> None:
        """It serves the next."""


@pytest.fixture
def lent_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process start runners of SavedModels that have TensorFlow imported already."""
    runners = {**RUNNER_FILES, "tensorflow": forking.tensorflow_runner()}
    monkeypatch.setattr("edgekit.pipeline.run.LocalDevice", partial(LocalDevice, runners=runners))


@pytest.fixture
def lent_worker(started_worker: Any, lent_runner: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share one worker as well: for models and data without code of a user."""
    monkeypatch.setattr("edgekit.pipeline.run.Worker", lambda *_: Lent(started_worker))


@pytest.fixture(scope="session")
def digits_run(shared: Path) -> Path:
    """The folder of the example project after a whole `edgekit convert`. Read only.

    With few timed runs: a run that is to find its latency in the store times as few.
    """

    def make(folder: Path) -> None:
        assert edgekit("init", folder / "project", cwd=folder).returncode == 0
        done = brief("convert", "--json", cwd=folder / "project")
        (folder / "stdout.json").write_text(done.stdout)
        (folder / "stderr.txt").write_text(done.stderr)
        assert done.returncode == 0, done.stderr

    return once(shared / "digits-run", make)


@pytest.fixture(scope="session")
def digits_report(digits_run: Path) -> dict[str, object]:
    """What that run printed with --json."""
    return dict(json.loads((digits_run / "stdout.json").read_text()))


@pytest.fixture(scope="session")
def bundle(digits_run: Path) -> Path:
    """The bundle of the example project."""
    (path,) = (digits_run / "project" / "dist").glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def digits(shared: Path) -> Path:
    """The digits as files: ``test.npz`` and ``train.npz``, ``x`` uint8 [N, 8, 8, 1], ``y``."""

    def make(folder: Path) -> None:
        from sklearn.datasets import load_digits

        found = load_digits()
        x, y = found.images[..., None].astype(np.uint8), found.target
        np.savez(folder / "train.npz", x=x[:1000], y=y[:1000])
        np.savez(folder / "test.npz", x=x[1000:], y=y[1000:])

    return once(shared / "digits", make)


@pytest.fixture(scope="session")
def converted(shared: Path, models: Path, digits: Path) -> Path:
    """The files that :mod:`converting` makes of the tests' models."""
    import converting

    return once(shared / "converted", lambda folder: converting.make(folder, models, digits))


@pytest.fixture(scope="session")
def outcomes(converted: Path) -> dict[str, str]:
    """How each of those conversions went: nothing, or its error."""
    return dict(json.loads((converted / "outcomes.json").read_text()))


MODELS = """
import sys, os, numpy as np
import keras, tf_keras, tensorflow as tf
folder, data = sys.argv[1:]
train = np.load(data)
x, y = train["x"].astype("float32") / 16, train["y"]

def network(k):
    k.utils.set_random_seed(1)
    i = k.layers.Input((8, 8, 1), name="image")
    h = k.layers.Conv2D(16, 3, padding="same", use_bias=False)(i)
    h = k.layers.BatchNormalization()(h)
    h = k.layers.ReLU()(h)
    s = k.layers.Conv2D(16, 3, padding="same", activation="relu")(h)
    h = k.layers.Add()([h, s])
    h = k.layers.MaxPooling2D()(h)
    h = k.layers.Flatten()(h)
    o = k.layers.Dense(10, activation="softmax", name="digit")(h)
    m = k.Model(i, o, name="tiny")
    m.compile("adam", "sparse_categorical_crossentropy")
    m.fit(x, y, epochs=8, batch_size=32, verbose=0)
    return m

k3 = network(keras)
k3.save(f"{folder}/keras3.keras"); k3.save(f"{folder}/keras3.h5")
k3.export(f"{folder}/saved_model", verbose=False)
k2 = network(tf_keras)
k2.save(f"{folder}/keras2.keras"); k2.save(f"{folder}/keras2.h5")
seq = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
                        keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10)])
seq.save(f"{folder}/untrained.keras")
lam = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
                        keras.layers.Lambda(lambda t: t * 2, name="twice"), keras.layers.Dense(10)])
lam.save(f"{folder}/lambda.keras"); lam.save(f"{folder}/lambda.h5")
a, b = keras.Input((4,), name="left"), keras.Input((2,), name="right")
o = keras.layers.Dense(1, name="sum")(keras.layers.Concatenate()([a, b]))
keras.Model([a, b], o).save(f"{folder}/two_inputs.keras")
act = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(16, 3),
                        keras.layers.PReLU(name="odd"), keras.layers.Flatten(),
                        keras.layers.Dense(10)])
act.save(f"{folder}/prelu.keras")
elu = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(16, 3, activation="elu"),
                        keras.layers.Flatten(), keras.layers.Dense(10)])
elu.save(f"{folder}/elu.keras")
"""


@pytest.fixture(scope="session")
def models(shared: Path, digits: Path) -> Path:
    """Tiny models in every file kind: trained twins of both generations, and odd ones.

    ``keras3.keras``, ``keras3.h5``, ``keras2.keras``, ``keras2.h5``, ``saved_model/``,
    ``untrained.keras``, ``lambda.keras``, ``lambda.h5``, ``two_inputs.keras``,
    ``prelu.keras``, ``elu.keras``.
    """

    def make(folder: Path) -> None:
        forking.tensorflow_script(MODELS, folder, digits / "train.npz")

    return once(shared / "models", make)


@pytest.fixture(scope="session")
def hostile_folder(shared: Path) -> Path:
    """The folder that ``hostile_files`` and ``planted_files`` lie in."""
    import hostile

    return once(shared / "hostile", hostile.make)


@pytest.fixture(scope="session")
def hostile_files(hostile_folder: Path) -> Path:
    """The folder of models that mean harm, with what came of each in ``outcomes.json``."""
    return hostile_folder / "files"


@pytest.fixture(scope="session")
def planted_files(hostile_folder: Path) -> Path:
    """The folder of models with planted code and graphs, and ``outcomes.json``."""
    return hostile_folder / "planted"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real data beside the project; tests that need it are skipped without it."""
    folder = os.environ.get("EDGEKIT_TEST_DATA")
    if not folder:
        pytest.skip("EDGEKIT_TEST_DATA does not name a folder of real data")
    return Path(folder).resolve()
