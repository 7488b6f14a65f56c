"""How a source is read: what the formats are given besides its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.data.dataset import Dataset, check_regular, dataset_of
from edgekit.errors import DataError
from edgekit.store import Store, sha256
from edgekit.types import DataTypes, Json, Preprocess, TensorSpec


@dataclass(frozen=True)
class Reading:
    """Where artefacts are kept, who runs TensorFlow, and how items are to be read.

    ``inputs`` are the model's where it is known: pictures take their size from it, columns their
    names. ``columns`` are wanted beside the inputs, ``label`` names the labels where they are not
    called ``y`` or ``label``, ``class_names`` are in the order of the model's outputs, ``texts``
    says that labels are texts, digits too, ``seconds`` how long sounds are,
    ``types`` what columns and features hold. ``source`` is what the
    user called the data, ``path`` where it is.
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
    texts: bool = False
    seconds: float | None = None
    types: DataTypes = field(default_factory=DataTypes)

    @property
    def path(self) -> Path:
        return self.root / self.source

    def obtain(
        self, key: Mapping[str, Json], make: Callable[[Path], Mapping[str, Json]]
    ) -> tuple[Dataset, bool]:
        """Return the dataset that ``make(folder)`` describes, made once; whether the store had
        it.
        """
        artefact = self.store.obtain("data", key, make)
        return dataset_of(self.source, artefact, self.columns), artefact.cached

    def content(self, names: Iterable[str]) -> str:
        """Return a digest of files below :attr:`path` and their names, in this order.

        They are read once, and again where a name, a size or a time of change differs. Raises
        :class:`DataError` where one cannot be read.
        """
        names = list(names)

        def digest(start: str, of: Callable[[Path], str]) -> str:
            combined = hashlib.sha256(start.encode())
            for name in names:
                check_regular(self.path / name)
                try:
                    combined.update(f"{name}\0{of(self.path / name)}\n".encode())
                except OSError as error:
                    message = f"{self.source}: {name} cannot be read: {error.strerror}"
                    raise DataError("EK-DATA-003", message) from error
            return combined.hexdigest()

        def make(_: Path) -> Mapping[str, Json]:
            return {"digest": digest("", sha256)}

        stamps = digest(str(self.path.resolve()), _stamp)
        key: dict[str, Json] = {"stamps": stamps}
        return str(self.store.obtain("content", key, make).facts["digest"])


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"
