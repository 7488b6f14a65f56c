"""Import TensorFlow without garbage collections, and leave what it holds out of later ones.

Its import makes some 380,000 objects that live as long as the process. Collections during the
import take a fifth of its time; afterwards each full one, and TensorFlow and Keras ask for some
at every conversion and cleared session, takes 0.2 s to look through them.
"""

from __future__ import annotations

import gc
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

from edgekit.worker import changed_imports

LIBRARIES = ("tensorflow", "keras", "tf_keras")


def install() -> None:
    """Have each of the libraries imported so, whenever that is."""
    changed_imports.install(LIBRARIES, _uncollected)


def _uncollected(_: ModuleSpec, loader: Loader) -> None:
    execute = loader.exec_module

    def uncollected(module: ModuleType) -> None:
        was = gc.isenabled()
        gc.disable()
        try:
            execute(module)
        finally:
            gc.freeze()
            if was:
                gc.enable()

    setattr(loader, "exec_module", uncollected)  # noqa: B010
