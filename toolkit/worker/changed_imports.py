"""Change how some modules are imported, wherever they are found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Change = Callable[[ModuleSpec, Loader], None]


def install(names: Collection[str], change: Change) -> None:
    """Have ``change`` called with what is found of each of these modules, before that is run."""
    sys.meta_path.insert(0, _Finder(names, change))


class _Finder(MetaPathFinder):
    """Finds them where they are found anyway."""

    def __init__(self, names: Collection[str], change: Change) -> None:
        self._names = names
        self._change = change

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            self._change(spec, spec.loader)
        return spec
