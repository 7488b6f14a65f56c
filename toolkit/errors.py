"""One error tree: what went wrong, where, why, and what to do, with a stable code."""

from __future__ import annotations

import enum
from collections.abc import Iterable

LONGEST_LINE = 2000


class ExitCode(enum.IntEnum):
    """What the shell sees. Order of precedence: see :func:`worst`."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    INCONCLUSIVE = 4
    INCOMPATIBLE = 5
    INTERNAL = 70
    INTERRUPTED = 130


class EdgekitError(Exception):
    """The root of every error that edgekit raises on purpose.

    ``code`` is stable (``EK-AREA-NNN``), ``message`` says what and where, ``hint`` says why and
    what to do.
    """

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = _cut(f"error {self.code}: {self.message}")
        return text + "".join(f"\n  {_cut(line)}" for line in self.hint.splitlines())


def _cut(line: str) -> str:
    """Return a line that can be read: names in a file of another hand may have any length."""
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} …"


class ProjectError(EdgekitError):
    """The project file or an option is wrong."""


class LockError(EdgekitError):
    """A lock, or a baseline, cannot be read or does not belong to the run."""


class DataError(EdgekitError):
    """A data file, or what it holds, does not fit."""


class ArraysMismatch(DataError):
    """The arrays of the data are not the inputs of the model."""


class ModelError(EdgekitError):
    """A model file cannot be read, is refused, or does not fit what was asked of it."""


class BundleError(EdgekitError):
    """A bundle is damaged or unsafe."""

    exit_code = ExitCode.FAILED


class BundleDoesNotSuit(BundleError):
    """A model, or the file of it that there is, does not go into a bundle of that kind."""

    exit_code = ExitCode.INCOMPATIBLE


class NoLayoutError(BundleError):
    """This version makes no bundles of a kind that a target takes."""

    exit_code = ExitCode.UNAVAILABLE


class NoBundleError(BundleError):
    """There is no bundle of that name: a mistake in what was asked, not in a bundle."""

    exit_code = ExitCode.USAGE


class StoreError(EdgekitError):
    """Files cannot be written or read where they must be."""


class CompressionError(EdgekitError):
    """A compression scheme cannot be applied to this model."""


class ConversionError(EdgekitError):
    """The converter refused the model at this precision, or died on it."""

    exit_code = ExitCode.INCOMPATIBLE


class CompilerFailed(ConversionError):
    """The compiler of an NPU ended without a file; the hint is the end of its log."""


class NoTflmKernels(ConversionError):
    """TFLM computes no operator of this precision."""


class WorkerError(EdgekitError):
    """The TensorFlow worker crashed, hung, or ran out of memory."""

    exit_code = ExitCode.INCOMPATIBLE


class WorkerDied(WorkerError):
    """The worker is gone: it crashed, or held more memory than it may."""


class RunnerError(EdgekitError):
    """A runner could not run the model: refused, crashed, hung, or ran out of memory.

    ``item`` is the position, among the items asked for, of the one it happened at, where known.
    """

    exit_code = ExitCode.INCOMPATIBLE

    def __init__(self, code: str, message: str, hint: str = "", item: int | None = None) -> None:
        super().__init__(code, message, hint)
        self.item = item


class RunnerCrashed(RunnerError):
    """The runner died."""


class RuntimeCannotRun(RunnerError):
    """The runtime refused the model, or an item."""


class RunnerHung(RunnerError):
    """The runner took longer than its limit of time."""


class RunnerTooLarge(RunnerError):
    """The runner held more memory than its limit."""


class DeviceError(EdgekitError):
    """A device or a runtime is not there."""

    exit_code = ExitCode.UNAVAILABLE


class NotInstalled(DeviceError):
    """A runtime is not installed where it is asked for."""


class NoWheels(DeviceError):
    """A package has no wheels for a device."""


class NoPython(DeviceError):
    """A device has no Python that can run edgekit's agent."""


class OtherProtocol(DeviceError):
    """The firmware of a board speaks another protocol than this edgekit."""


class ModelDoesNotSuit(DeviceError):
    """A device does not take models of this kind."""

    exit_code = ExitCode.INCOMPATIBLE


class DeviceNameError(DeviceError):
    """No device has that name: a mistake in what was asked, not in what is there."""

    exit_code = ExitCode.USAGE


class ConnectionLost(DeviceError):
    """A device went away while it was used: the connection dropped, or it stopped answering."""


class PluginError(EdgekitError):
    """What another package adds to edgekit cannot be used."""


class PlotsError(EdgekitError):
    """Plots cannot be drawn here."""


class ServeError(EdgekitError):
    """A page or a model cannot be served here."""


class SelfTestFailed(ServeError):
    """A model that is to be served does not give its golden outputs."""

    exit_code = ExitCode.FAILED


class HistoryError(EdgekitError):
    """The history of past runs cannot be read, or does not hold what is asked of it."""


class RecordError(EdgekitError):
    """The registry of versions cannot be read, or does not hold what is asked of it."""


class CassetteError(EdgekitError):
    """A record of devices cannot be read, or does not hold what is asked of it."""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return a question to append to an error: the closest known name, if one is close.

    ``cutoff`` is how alike it has to be, from 0 to 1.
    """
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""
