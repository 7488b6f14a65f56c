"""A large library is imported without garbage collections, and later ones leave it out."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path

import pytest

from edgekit.worker import uncollected


@pytest.mark.parametrize("body", ["", "raise ValueError('planted')\n"])
def test_import_collects_no_garbage_and_what_it_made_is_left_out_of_later_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    text = (
        "import gc, sys\nsys.collected_at_import = gc.isenabled()\nkept = [[] for _ in range(9)]\n"
    )
    (tmp_path / "large_library.py").write_text(text + body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "collected_at_import", None, raising=False)
    monkeypatch.setattr(uncollected, "LIBRARIES", ("large_library",))
    uncollected.install()
    before = gc.get_freeze_count()
    try:
        if body:
            with pytest.raises(ValueError, match="planted"):
                importlib.import_module("large_library")
        else:
            kept = importlib.import_module("large_library").kept
            assert not any(one is kept for one in gc.get_objects())
        assert (sys.collected_at_import, gc.isenabled()) == (False, True)  # type: ignore[attr-defined]
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
        sys.modules.pop("large_library", None)
