"""Import parts of Keras 3 when they are used, and not with Keras.

Where they are installed, Keras 3 imports scikit-learn for its wrappers and matplotlib for its
galleries of pictures: a third of what `import tensorflow` takes. Hardly a model uses either; one
that does gets them at the first use. Source: the documentation of ``importlib.util.LazyLoader``.
"""

from __future__ import annotations

from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader

from edgekit.worker import changed_imports

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
    changed_imports.install(MODULES, _defer)


def _defer(spec: ModuleSpec, loader: Loader) -> None:
    spec.loader = LazyLoader(loader)
