"""What other packages add to edgekit's tables, by entry points: nothing is imported before use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from edgekit.errors import PluginError

if TYPE_CHECKING:
    from importlib import metadata

BROKEN, WRONG, TAKEN = "EK-PLUGIN-001", "EK-PLUGIN-002", "EK-PLUGIN-003"
T = TypeVar("T")
U = TypeVar("U")
GROUPS = (
    "edgekit.bundles",
    "edgekit.metrics",
    "edgekit.runners",
    "edgekit.schemes",
    "edgekit.targets",
    "edgekit.transports",
)


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package, which adds the row ``name`` to a table."""

    group: str
    name: str
    value: str
    distribution: str
    version: str
    entry: metadata.EntryPoint = field(repr=False, compare=False)

    @property
    def title(self) -> str:
        """What messages call it."""
        place = f"{self.distribution} {self.version}"
        return f"plug-in {self.name!r} of {self.group} ({self.value}, in {place})"

    def error(self, code: str, why: str) -> PluginError:
        """Say why it cannot be used, and how to go on."""
        hint = (
            f"{why}\nedgekit works without it: pip uninstall {self.distribution}, or install a "
            "release that is mended; edgekit doctor lists what is plugged in"
        )
        return PluginError(code, f"{self.title} cannot be used", hint)


@functools.cache
def installed() -> tuple[Plugin, ...]:
    """Return the plug-ins of this environment, by group and name."""
    from importlib import metadata

    every = metadata.entry_points()
    plugins = [
        Plugin(
            group,
            entry.name,
            entry.value,
            entry.dist.name if entry.dist else "?",
            entry.dist.version if entry.dist else "?",
            entry,
        )
        for group in GROUPS
        for entry in every.select(group=group)
    ]
    return tuple(sorted(plugins, key=lambda one: (one.group, one.name, one.distribution)))


class Table(Mapping[str, T]):
    """edgekit's own rows by name, then those of plug-ins.

    A plug-in is imported when its row is asked for, which raises :class:`PluginError` where that
    fails; names are told without. ``own`` are the names of edgekit's rows and ``get`` gives one;
    what an entry point gives must be a ``kind``, of which ``made`` makes the row.
    """

    def __init__(
        self,
        group: str,
        kind: Any,
        own: Collection[str],
        get: Callable[[str], T],
        made: Callable[[str, Any], T] | None = None,
    ) -> None:
        self.group, self._kind = group, kind
        self._own, self._get, self._made = own, get, made

    def __getitem__(self, name: str) -> T:
        if name in self._own:
            return self._get(name)
        for plugin in self._plugged():
            if plugin.name == name:
                return self.load(plugin)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return name in self._own or any(one.name == name for one in self._plugged())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._own, *(one.name for one in self._plugged()))))

    def __len__(self) -> int:
        return len(tuple(iter(self)))

    def working(self) -> dict[str, T]:
        """Return the rows by name, without plug-ins that cannot be used."""
        broken = {plugin.name for plugin, error in self.plugged() if error is not None}
        return {name: self[name] for name in self if name in self._own or name not in broken}

    def plugged(self) -> Iterator[tuple[Plugin, PluginError | None]]:
        """Try the table's plug-ins in turn: why one cannot be used, or None."""
        for plugin in self._plugged():
            try:
                self.load(plugin)
            except PluginError as error:
                yield plugin, error
            else:
                yield plugin, None

    def load(self, plugin: Plugin) -> T:
        """Import what a plug-in adds. Raises :class:`PluginError`."""
        if plugin.name in self._own:
            raise plugin.error(
                "EK-PLUGIN-003", f"{plugin.name!r} is a name of edgekit's own, which is taken"
            )
        others = [p for p in self._plugged() if p.name == plugin.name and p != plugin]
        if others:
            raise plugin.error(TAKEN, f"the name is also that of {others[0].title}")
        try:
            loaded = plugin.entry.load()
        # Whatever the code of another hand does at its import.
        except (Exception, SystemExit) as error:
            raise plugin.error(BROKEN, f"importing it raised {_told(error)}") from error
        if not isinstance(loaded, self._kind):
            wanted = f"{self._kind.__module__}.{self._kind.__qualname__}"
            raise plugin.error(
                "EK-PLUGIN-002", f"{plugin.value} is a {type(loaded).__name__}, not a {wanted}"
            )
        named = getattr(loaded, "name", plugin.name)
        if self._made is None and named != plugin.name:
            raise plugin.error(WRONG, f"{plugin.value} calls itself {named!r}")
        try:
            return loaded if self._made is None else self._made(plugin.name, loaded)
        except Exception as error:
            raise plugin.error(
                "EK-PLUGIN-002", f"it does not hold what it must: {_told(error)}"
            ) from error

    def _plugged(self) -> Iterator[Plugin]:
        return (one for one in installed() if one.group == self.group)


class Column(Mapping[str, U]):
    """One field of a table's rows."""

    def __init__(self, table: Mapping[str, T], of: Callable[[T], U]) -> None:
        self._table = table
        self._row: Callable[[str], U] = lambda name: of(table[name])

    def __getitem__(self, name: str) -> U:
        return self._row(name)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _told(error: BaseException) -> str:
    """Describe a plug-in's exception on one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
