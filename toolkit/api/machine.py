"""What this machine has: devices and runtimes that work, and what a model file holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import DeviceNameError
from edgekit.types import Progress, Silent

if TYPE_CHECKING:
    from edgekit.converters.inspection import Inspection
    from edgekit.doctor import SystemCheck
    from edgekit.inspection import TargetFit
    from edgekit.project import Project
    from edgekit.targets.bundles import TrustedKey
    from edgekit.targets.devices import DeviceBook, DeviceName
    from edgekit.targets.devices.entry import InventoryEntry


def doctor() -> Iterator[SystemCheck]:
    """Try what edgekit needs here, in turn: Python, TensorFlow, runtimes, compilers, plug-ins."""
    from edgekit.doctor import examine

    yield from examine()


def new_key(path: str | Path, force: bool = False) -> TrustedKey:
    """Write an Ed25519 private key (mode 0600), and its public key to ``<path>.pub``.

    Raises :class:`ProjectError` where one of them is there, unless it is to be forced.
    """
    from edgekit.targets import bundles

    return bundles.new_key(Path(path), force)


def inspect(path: str | Path, signature: str | None = None) -> Inspection:
    """Explain a ``.tflite`` file; of several signatures one alone, as a file of it would be.

    Raises :class:`ModelError` where it is not one, or damaged, or has no such signature.
    """
    from edgekit import inspection

    return inspection.inspect(path, signature)


def fits(inspected: Inspection) -> tuple[TargetFit, ...]:
    """Judge by the tables which targets an inspected file fits."""
    from edgekit import inspection

    return inspection.fits(inspected)


def devices(
    names: Sequence[str] = (), project: Project | None = None
) -> tuple[InventoryEntry, ...]:
    """Run a model on devices by name, without any on all that are known here.

    Names of the user's own and of the project's count. Raises :class:`DeviceError` where a name is
    none; a device that does not work is an entry that says why.
    """
    from edgekit.targets.devices import inventory

    return inventory.inventory(names, _book(project))


def set_up_devices(
    names: Sequence[str],
    project: Project | None = None,
    progress: Progress | None = None,
    wheels: Path | None = None,
) -> tuple[InventoryEntry, ...]:
    """Install runtimes on devices, or releases here, and try them; what then works.

    ``wheels`` is a folder to take packages for a device from. Raises :class:`DeviceError`.
    """
    from edgekit import scratch
    from edgekit.targets.devices import addressed, environment, inventory

    entries: list[InventoryEntry] = []
    for name in _chosen(names, project):
        with scratch.held(prefix="edgekit-devices-") as folder:
            if name.address:
                entries += addressed.set_up(name, progress or Silent(), wheels)
                continue
            if name.version:
                environment.obtain(name, folder, progress or Silent())
            entries += inventory.inventory([name.text])
    return tuple(entries)


def create_devices(
    names: Sequence[str], project: Project | None = None, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Make the devices of addresses, and return their folders here. Raises :class:`DeviceError`."""
    from edgekit.targets.devices import addressed

    chosen = _chosen(names, project)
    return tuple(addressed.create(name, progress or Silent()) for name in chosen)


def remove_devices(
    names: Sequence[str], project: Project | None = None, progress: Progress | None = None
) -> tuple[str, ...]:
    """Delete environments, or what edgekit has put on devices; return the folders that are gone.

    Raises :class:`DeviceError`.
    """
    from edgekit.targets.devices import addressed, environment

    chosen, to = _chosen(names, project), progress or Silent()
    kept = (name.text for name in chosen if not name.version and not name.address)
    if own := next(kept, None):
        hint = "only local:PACKAGE==VERSION, and what is installed at an ADDRESS, can be removed"
        raise DeviceNameError("EK-DEVICE-012", f"{own} is not an environment", hint)
    return tuple(
        addressed.remove(name, to) if name.address else str(environment.remove(name, to))
        for name in chosen
    )


def _book(project: Project | None) -> DeviceBook:
    from edgekit.project.book import device_book

    return device_book(project)


def _chosen(names: Sequence[str], project: Project | None) -> list[DeviceName]:
    """Return the devices that names stand for. Raises :class:`DeviceNameError`."""
    book = _book(project)
    return [book.find(name).device for name in book.expand(names)]
