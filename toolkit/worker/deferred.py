"""Import parts of Keras 3 when they are used, and not with Keras.

Where they are installed, Keras 3 imports scikit-learn for its wrappers and matplotlib for its
galleries of pictures: a third of what `import tensorflow` takes. Hardly a model uses either; one
that does gets them at the first use. Source: the documentation of ``importlib.util.LazyLoader``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

# They are a part of Keras's public names twice: as itself, and as tensorflow.keras.
MODULES = frozenset(
    {"keras.src.visualization"}
    | {
        f"{keras}.{part}"
        for keras in ("keras", "keras._tf_keras.keras")
        for part in ("visualization", "wrappers")
    }
)


def install() -> None:
    """Have these modules imported so, whenever that is."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds them where they are found anyway."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in MODULES else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
