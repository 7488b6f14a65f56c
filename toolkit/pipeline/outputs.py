"""What edgekit wrote where the user sees it: one small record a path, so that runs at the same
time lose nothing of each other's.

``.edgekit`` is safe to delete, so the records of ``build/`` lie in ``build/`` itself, and a bundle
or a delta without one is known by the digests that it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ProjectError
from edgekit.store import digest_of, place, sha256, sweep_parts, write_text
from edgekit.targets import bundles

SUPERSEDED = ".superseded"
BUILD, RECORDS = "build", ".edgekit"


@dataclass(frozen=True)
class WrittenFiles:
    """The files below ``root``, recorded below ``folder`` and ``build/.edgekit``."""

    folder: Path
    root: Path

    def put(self, source: Path, path: Path, force: bool) -> None:
        """Copy a file to ``path``, whole or not at all.

        Raises :class:`ProjectError` where a file of the user's is there, unless it is to be forced.
        """
        name = path.relative_to(self.root).as_posix()
        record = self._record(path)
        before = self.check(source, path, force)
        digest = sha256(source)
        # Whatever kills this, the next run knows both files as its own.
        write_text(record, json.dumps({"path": name, "sha256": digest, "before": before}))
        place(source, path)
        write_text(record, json.dumps({"path": name, "sha256": digest}))

    def check(self, source: Path, path: Path, force: bool) -> str:
        """Return the digest of what is at ``path``, which a file is to replace; empty for nothing.

        Raises :class:`ProjectError` where it is a file of the user's, unless it is to be forced.
        """
        if not path.exists():
            return ""
        before = sha256(path)
        if not force and before != sha256(source) and not self._is_own(path, before):
            hint = "edgekit did not write it, or it was changed since: move it, or use --force"
            raise ProjectError("EK-OUTPUT-001", f"{path} is there already", hint)
        return before

    def put_folder(self, source: Path, folder: Path, force: bool) -> None:
        """Copy a folder's files, and remove those that an earlier run put there and this has not.

        Raises :class:`ProjectError` where a file of the user's would be replaced; then none is.
        """
        inside = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        for name in inside:
            self.check(source / name, folder / name, force)
        for record, path in tuple(self._written()):
            is_stale = path.is_relative_to(folder) and path.relative_to(folder) not in inside
            if is_stale and path.is_file() and sha256(path) in _recorded(record):
                path.unlink()
                record.unlink(missing_ok=True)
        for name in inside:
            self.put(source / name, folder / name, force)

    def _is_own(self, path: Path, digest: str) -> bool:
        """Tell whether a file is as edgekit wrote it: by its record, or by what it holds."""
        record = self._record(path)
        if record.exists():
            return digest in _recorded(record)
        return path.is_file() and (bundles.is_whole(path) or bundles.is_whole_delta(path))

    def set_aside(self, path: Path, force: bool) -> Path | None:
        """Give a file of edgekit's the suffix ``.superseded``; its path then, or none to move.

        A file that edgekit did not write stays. Raises :class:`ProjectError` where a file of the
        user's has that name, unless it is to be forced.
        """
        record = self._record(path)
        if not path.is_file() or not self._is_own(path, sha256(path)):
            return None
        aside = path.with_name(path.name + SUPERSEDED)
        self.put(path, aside, force)
        path.unlink()
        record.unlink(missing_ok=True)
        return aside

    def _record(self, path: Path) -> Path:
        name = path.relative_to(self.root).as_posix()
        folder = self._beside if name.startswith(f"{BUILD}/") else self.folder
        return folder / f"{digest_of(name)[:32]}.json"

    @property
    def _beside(self) -> Path:
        return self.root / BUILD / RECORDS

    def sweep(self) -> None:
        """Remove half-written files of killed runs, and the records of files that are gone."""
        for folder in (self.folder, self._beside):
            sweep_parts(folder)
        for record, path in self._written():
            sweep_parts(path.parent, path.name)
            if not path.exists():
                record.unlink(missing_ok=True)

    def _written(self) -> Iterator[tuple[Path, Path]]:
        for record in (*self.folder.glob("*.json"), *self._beside.glob("*.json")):
            try:
                name = str(json.loads(record.read_text())["path"])
                path = (self.root / name).resolve()
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                record.unlink(missing_ok=True)
                continue
            if path.is_relative_to(self.root.resolve()):
                yield record, path


def _recorded(record: Path) -> tuple[str, ...]:
    """Read the digests of what an earlier run wrote, or was about to replace."""
    try:
        found = json.loads(record.read_text())
        return tuple(str(found[key]) for key in ("sha256", "before") if found.get(key))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()
