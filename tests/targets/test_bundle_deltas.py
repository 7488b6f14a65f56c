"""Deltas between bundles: what they rebuild, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bundle_files import probe_contents

from conftest import answer
from edgekit.errors import BundleError, ProjectError
from edgekit.pipeline.outputs import WrittenFiles
from edgekit.targets import catalog
from edgekit.targets.bundles import apply_delta, delta, delta_size, make_delta, pack


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """An old bundle and a new one, which has another version and other labels."""
    target, contents = catalog.load("linux-x86_64"), probe_contents(tmp_path)
    newer = replace(contents, version="2", labels=("a", "b", "c", "e"))
    paths = (tmp_path / "old.tar.gz", tmp_path / "new.tar.gz")
    for path, one in zip(paths, (contents, newer), strict=True):
        pack(target, one, path)
    return paths


def test_a_delta_rebuilds_the_new_bundle_byte_by_byte(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = pair
    found = make_delta(old, new)
    assert found == make_delta(old, new)
    assert delta_size(old, new) == len(found)
    assert len(found) < new.stat().st_size / 4
    (tmp_path / "d").write_bytes(found)
    assert apply_delta(old, tmp_path / "d") == new.read_bytes()
    done = answer("apply", old, tmp_path / "d", tmp_path / "made.tar.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made.tar.gz").read_bytes() == new.read_bytes()
    again = answer("apply", old, tmp_path / "d", tmp_path / "made.tar.gz", cwd=tmp_path)
    assert (again.returncode, "EK-OUTPUT-001" in again.stderr) == (2, True)


@pytest.mark.parametrize("method", ["zstd", "detools"])
def test_each_method_rebuilds_the_new_bundle(
    pair: tuple[Path, Path], tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = pair
    larger = delta._zstd if method == "detools" else delta._detools
    name = "_zstd" if method == "detools" else "_detools"
    monkeypatch.setattr(delta, name, lambda *tars: larger(*tars) + bytes(1 << 20))
    (tmp_path / "d").write_bytes(make_delta(old, new))
    assert f'"method": "{method}"'.encode() in (tmp_path / "d").read_bytes()
    assert apply_delta(old, tmp_path / "d") == new.read_bytes()


def test_a_delta_of_edgekits_is_replaced_without_its_record_unless_it_was_changed(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = pair
    files = WrittenFiles(tmp_path / ".edgekit", tmp_path)
    there, other = tmp_path / "dist" / "d.delta", tmp_path / "other.delta"
    there.parent.mkdir()
    there.write_bytes(make_delta(old, new))
    other.write_bytes(make_delta(new, old))
    files.put(other, there, force=False)
    assert there.read_bytes() == other.read_bytes()
    shutil.rmtree(tmp_path / ".edgekit")
    there.write_bytes(other.read_bytes() + b"more")
    with pytest.raises(ProjectError, match="EK-OUTPUT-001"):
        files.put(other, there, force=False)


def test_a_wrong_or_damaged_delta_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = pair
    content, path = make_delta(old, new), tmp_path / "d"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="EK-BUNDLE-043"):
        apply_delta(new, path)
    bent = bytearray(content)
    bent[-20] ^= 1
    head = content.index(b"\n", len(delta.MAGIC)) + 1
    larger = content.replace(b'"bytes": ', b'"bytes": 1')
    for wrong in (b"", b"no delta", content[: head + 5], bytes(bent), larger, content[:head]):
        path.write_bytes(wrong)
        with pytest.raises(BundleError, match="EK-BUNDLE-042"):
            apply_delta(old, path)
