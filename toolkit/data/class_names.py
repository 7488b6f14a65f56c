"""What integer labels are called, and which number a named class has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from edgekit.data.dataset import check_file
from edgekit.errors import DataError


def read_labels(labels: tuple[str, ...] | str | None, root: Path) -> tuple[str, ...]:
    """Return class names: as stated, or one per line of a file. Raises :class:`DataError`."""
    if labels is None or isinstance(labels, tuple):
        return labels or ()
    path = root / labels
    check_file(path, "labels file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        hint = f"one class name per line, in UTF-8: {error}"
        raise DataError("EK-DATA-003", f"{path} cannot be read as text", hint) from error
    return tuple(line.strip() for line in lines if line)


def check_same_classes(
    trained: str, known: tuple[str, ...], source: str, used: Iterable[str]
) -> None:
    """Refuse class folders that the training data has not: their numbers would be others.

    Raises :class:`DataError`.
    """
    strangers = [name for name in used if name not in known]
    if known and strangers:
        near = difflib.get_close_matches(strangers[0], known, 1)
        message = f"{source} has class folders that {trained} has not: {', '.join(strangers[:5])}"
        hint = f"did you mean {near[0]!r}? " if near else ""
        hint += f"{trained} has {', '.join(known[:20])}; "
        hint += "or name all, in the order of the outputs: --labels FILE ([data] labels)"
        raise DataError("EK-DATA-018", message, hint)


def class_order(source: str, used: Iterable[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the class names in the order of their numbers: ``known``, or sorted where none are
    known.

    Raises :class:`DataError` where a class that was found is not among the known ones.
    """
    names = sorted(set(used))
    if not known:
        return tuple(names)
    strangers = [name for name in names if name not in known]
    if strangers:
        near = difflib.get_close_matches(strangers[0], known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        hint += "--labels ([data] labels) has the classes' names, in the model's order"
        message = f"{source}: no class is called {', '.join(map(repr, strangers[:5]))}"
        raise DataError("EK-DATA-018", message, hint)
    return known
