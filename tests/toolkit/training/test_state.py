"""States of a training on disk: whole or not at all, and which one is gone on from."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import StoreError
from edgekit.training.state import State, StateFolder


def state(step: int, best: int | None = None, size: int = 8) -> State:
    memory = {"rows": [{"loss": 0.1}], "best": {"step": best} if best else None}
    return State(step, {"w": np.full(size, step, "float32")}, memory)


@pytest.fixture
def states(tmp_path: Path) -> StateFolder:
    """States of steps 10, 20 and 30, of which two are kept, with best weights of step 20."""
    folder = StateFolder(tmp_path, keep=2)
    folder.save(state(10))
    folder.save_best(state(20), set())
    folder.save(state(20, best=20))
    folder.save(state(30, best=20))
    return folder


def test_last_state_comes_back_bit_by_bit_and_older_ones_are_removed(states: StateFolder) -> None:
    found, notices = states.last()
    assert found is not None
    assert (found.step, notices) == (30, ())
    assert found.arrays["w"].tobytes() == state(30).arrays["w"].tobytes()
    assert found.memory == {"rows": [{"loss": 0.1}], "best": {"step": 20}}
    names = sorted(path.name for path in states.folder.glob("*.state"))
    assert names == ["best-000000020.state", "step-000000020.state", "step-000000030.state"]


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) - 40
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (truncated, "bytes are there"),
        (flipped, "not those that were written"),
        (lambda _: b"", "cannot be read"),
        (lambda _: b"[]\n", "cannot be read"),
    ],
    ids=["truncated", "one bit", "empty", "other"],
)
def test_damaged_state_falls_back_to_the_one_before_and_says_so(
    states: StateFolder, fault: object, words: str
) -> None:
    path = states.folder / "step-000000030.state"
    path.write_bytes(fault(path.read_bytes()))  # type: ignore[operator]
    found, (notice,) = states.last()
    assert found is not None
    assert found.step == 20
    assert "step 30 is damaged" in notice
    assert words in notice


def test_missing_state_falls_back_to_the_one_before_and_says_so(states: StateFolder) -> None:
    (states.folder / "step-000000030.state").unlink()
    found, notices = states.last()
    assert found is not None
    assert (found.step, notices) == (20, ("the state of training at step 30 is missing",))
    # Said once: training has gone on from there.
    states.forget(20)
    assert states.last()[1] == ()
    for path in states.folder.glob("*.state"):
        path.unlink()
    assert states.last() == (None, ("the state of training at step 20 is missing",))


def test_state_whose_best_weights_are_gone_is_damaged(states: StateFolder) -> None:
    (states.folder / "best-000000020.state").unlink()
    found, notices = states.last()
    assert found is None
    assert len(notices) == 2
    assert all("best-000000020.state is missing" in notice for notice in notices)


def test_full_disk_keeps_the_last_good_state(states: StateFolder) -> None:
    # A bound of this process's files is a disk that ends there, for it alone.
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            states.save(state(40, best=20, size=100_000))
        except StoreError as error:
            os._exit(7 if error.code == "EK-STORE-001" else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    found, notices = states.last()
    assert found is not None
    assert (found.step, notices) == (30, ())
    assert not list(states.folder.glob("*.part"))
