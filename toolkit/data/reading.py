"""How a source is read: what the formats are given besides its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.data.dataset import Dataset, dataset_of
from edgekit.store import Store, sha256
from edgekit.types import Json, Preprocess, TensorSpec


@dataclass(frozen=True)
class Reading:
    """Where artefacts are kept, who runs TensorFlow, and how items are to be read.

    ``inputs`` are the model's where it is known: pictures take their size from it, columns their
    names. ``columns`` are wanted beside the inputs, ``label`` names the labels where they are not
    called ``y`` or ``label``, ``class_names`` are in the order of the model's outputs. ``source``
    is what the user called the data, ``path`` where it is.
    """

    source: str
    root: Path
    store: Store
    worker: Any
    preprocess: Preprocess
    inputs: tuple[TensorSpec, ...] = ()
    columns: tuple[str, ...] = ()
    label: str | None = None
    class_names: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return self.root / self.source

    def kept(
        self, key: Mapping[str, Json], make: Callable[[Path], Mapping[str, Json]]
    ) -> tuple[Dataset, bool]:
        """The dataset that ``make(folder)`` describes, made once; whether the store had it."""
        artefact = self.store.obtain("data", key, make)
        return dataset_of(self.source, artefact, self.columns), artefact.cached

    def content(self, names: Iterable[str]) -> str:
        """A digest of files below :attr:`path` and their names, in this order.

        They are read once, and again where a name, a size or a time of change differs.
        """
        names = list(names)
        stamps = hashlib.sha256(str(self.path.resolve()).encode())
        for name in names:
            stat = (self.path / name).stat()
            stamps.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())

        def make(_: Path) -> Mapping[str, Json]:
            digest = hashlib.sha256()
            for name in names:
                digest.update(f"{name}\0{sha256(self.path / name)}\n".encode())
            return {"digest": digest.hexdigest()}

        key: dict[str, Json] = {"stamps": stamps.hexdigest()}
        return str(self.store.obtain("content", key, make).facts["digest"])
