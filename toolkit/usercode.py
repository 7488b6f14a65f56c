"""The user's own Python, ``module:function`` or ``file.py:function``: found, hashed, imported."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekit import nearby
from edgekit.errors import EdgekitError, ProjectError
from edgekit.store import sha256


def is_prepared(source: str) -> bool:
    """Tell whether a source names a dataset of tensorflow-datasets (``tfds:NAME@SPLIT``)."""
    return source.startswith("tfds:")


def is_file(source: str) -> bool:
    """Tell whether a source is a path, and neither a function nor a dataset by name."""
    return not is_reference(source) and not is_prepared(source)


def is_reference(source: str) -> bool:
    """Tell whether a source names a function (``model.py:build``, ``package.module:build``)."""
    module, _, function = source.rpartition(":")
    if is_prepared(source):
        return False
    return bool(module) and function.isidentifier() and not Path(source).exists()


def fingerprint(source: str, root: Path) -> Mapping[str, str]:
    """Return digests of the file behind a reference and of the local files it imports, by name.

    Local means below ``root``. What the code reads while it runs is not seen.
    """
    path = file_of(source, root)
    return {"module": source} if path is None else fingerprint_file(path, root)


def fingerprint_file(path: Path, root: Path) -> Mapping[str, str]:
    """Return digests of a Python file and of the local files it imports, by name below ``root``."""
    seen: dict[str, str] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        name = (
            current.relative_to(root).as_posix() if current.is_relative_to(root) else str(current)
        )
        if name not in seen:
            seen[name] = sha256(current)
            waiting += _local_imports(current, root)
    return seen


def resolve(source: str, root: Path) -> Callable[..., Any]:
    """Return the function that a reference names.

    Raises :class:`ProjectError` where the file, the module or the function is not there, or where
    importing it fails.
    """
    module_name, _, function = source.rpartition(":")
    path = file_of(source, root)
    if path is not None:
        module = import_file(path, root, source)
    else:
        _importable(root)
        with user_errors(source):
            module = importlib.import_module(module_name)
    if not callable(getattr(module, function, None)):
        names = ", ".join(n for n in vars(module) if not n.startswith("_"))[:200]
        hint = f"the module defines: {names}"
        raise ProjectError("EK-PROJECT-007", f"{source}: no function {function!r}", hint)
    return getattr(module, function)  # type: ignore[no-any-return]


def import_file(path: Path, root: Path, source: str) -> ModuleType:
    """Run a Python file as a module; ``source`` is what errors call it.

    Raises :class:`ProjectError` where it is not Python, or raises an error.
    """
    _importable(root)
    with user_errors(source):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ProjectError("EK-PROJECT-006", f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    return module


def _importable(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def place(function: Callable[..., Any]) -> str:
    """Return the file and line of a function, for errors about what it returned."""
    code = getattr(function, "__code__", None)
    if code is None:
        return type(function).__name__
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}"


class user_errors:
    """Turn what the user's code raises into an error that names their file and line."""

    def __init__(self, source: str, hint: str = "") -> None:
        self._source, self._hint = source, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, EdgekitError):
            if (inner := _ours_within(error)) is not None:
                raise inner from error
            frames = traceback.extract_tb(trace)
            ours = str(Path(__file__).resolve().parent)
            places = [f for f in frames if not f.filename.startswith((ours, "<"))] or list(frames)
            user = [f for f in places if "site-packages" not in f.filename] or places
            where = f"{Path(user[-1].filename).name}, line {user[-1].lineno}: {user[-1].line}"
            text = f"{type(error).__name__}: {str(error)[:1000]}"
            message = f"{self._source} raised an error"
            more = f"\n{self._hint}" if self._hint else ""
            raise ProjectError("EK-PROJECT-008", message, f"{where}\n{text}{more}") from error


def _ours_within(error: BaseException) -> EdgekitError | None:
    """Return the error of edgekit's own that TensorFlow made another of while it traced."""
    before = error.__cause__ or error.__context__
    while before is not None and not isinstance(before, EdgekitError):
        before = before.__cause__ or before.__context__
    return before


def file_of(source: str, root: Path) -> Path | None:
    """Return the file behind a reference; None where it names an installed module.

    Raises :class:`ProjectError` where it names a file that is not there.
    """
    name = source.rpartition(":")[0]
    if not name.endswith(".py"):
        parts = root.joinpath(*name.split(".")).with_suffix(".py")
        return parts if parts.is_file() else None
    path = (root / name).resolve()
    if not path.is_file():
        message = f"{source}: there is no file {path}"
        raise ProjectError("EK-PROJECT-005", message, nearby.hint(path))
    return path


def _local_imports(path: Path, root: Path) -> list[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files = []
    for folder in {root, path.parent}:
        for name in names:
            base = folder.joinpath(*name.split("."))
            files += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    return [p.resolve() for p in files]
