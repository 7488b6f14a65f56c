"""Import TensorFlow without garbage collections, and leave what it holds out of later ones.

Its import makes some 380,000 objects that live as long as the process. Collections during the
import take a fifth of its time; afterwards each full one, and TensorFlow and Keras ask for some
at every conversion and cleared session, takes 0.2 s to look through them.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

LIBRARIES = ("tensorflow", "keras", "tf_keras")


def install() -> None:
    """Have each of the libraries imported so, whenever that is."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds them where they are found anyway."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in LIBRARIES else None
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def uncollected(module: ModuleType) -> None:
            was = gc.isenabled()
            gc.disable()
            try:
                execute(module)
            finally:
                gc.freeze()
                if was:
                    gc.enable()

        setattr(spec.loader, "exec_module", uncollected)  # noqa: B010
        return spec
