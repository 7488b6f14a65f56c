"""Parts of Keras that bring large libraries with them are imported at their first use."""

from __future__ import annotations

import importlib
import sys
import timeit
from pathlib import Path

import pytest

from edgekit.worker import Worker, deferred

pytestmark = pytest.mark.usefixtures("new_workers")


def test_module_is_run_at_its_first_use_and_not_where_its_package_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broad_library"
    package.mkdir()
    (package / "__init__.py").write_text("from broad_library import gallery as gallery\n")
    (package / "gallery.py").write_text("import sys\nsys.has_run = True\ndraw = 'drawn'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "has_run", False, raising=False)
    names = ("broad_library.gallery", "broad_library.absent")
    monkeypatch.setattr(deferred, "MODULES", frozenset(names))
    deferred.install()
    try:
        library = importlib.import_module("broad_library")
        assert not sys.has_run  # type: ignore[attr-defined]
        assert library.gallery.draw == "drawn"
        assert sys.has_run  # type: ignore[attr-defined]
        with pytest.raises(ModuleNotFoundError, match="absent"):
            importlib.import_module("broad_library.absent")
    finally:
        for name in ("broad_library", *names):
            sys.modules.pop(name, None)


@pytest.mark.slow
def test_worker_has_keras_without_what_only_its_wrappers_and_galleries_need(tmp_path: Path) -> None:
    used = "keras.wrappers.SKLearnClassifier; tf.keras.visualization.plot_image_gallery"
    with Worker(tmp_path / "log.txt") as worker:
        # It runs the statements there, and fails where one of them does.
        worker.call(
            timeit.timeit,
            f"assert not large & {{*sys.modules}}; {used}; assert 'sklearn' in sys.modules",
            "import sys, tensorflow as tf, keras; large = {'sklearn', 'matplotlib.pyplot'}",
            number=1,
        )
