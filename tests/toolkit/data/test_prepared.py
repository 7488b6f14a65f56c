"""Datasets of tensorflow-datasets: read by name where it is installed, refused with the reason."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from sources import opened

from edgekit.errors import DataError
from edgekit.usercode import is_file, is_reference
from edgekit.worker import Worker

INSTALLED = importlib.util.find_spec("tensorflow_datasets") is not None
BUILDER = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class Dots(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({
                "image": tfds.features.Image(shape=(8, 8, 1)),
                "label": tfds.features.ClassLabel(names=["dark", "light"]),
            }),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, manager):
        return {"train": self._generate_examples(20), "test": self._generate_examples(10)}

    def _generate_examples(self, count):
        for k in range(count):
            yield k, {"image": np.full((8, 8, 1), k + 100 * (k % 2), np.uint8), "label": k % 2}
"""


def test_dataset_by_name_is_neither_a_function_nor_a_file() -> None:
    for source in ("tfds:mnist", "tfds:mnist@test", "tfds:mnist/config:1.0.0@train[:50%]"):
        assert not is_reference(source)
        assert not is_file(source)
    assert is_reference("data.py:test")
    assert is_file("photos")


@pytest.mark.skipif(INSTALLED, reason="it is installed")
def test_dataset_without_the_package_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="because tensorflow-datasets is not installed") as refused:
        opened("tfds:mnist@test", tmp_path)
    assert refused.value.code == "EK-DATA-087"
    assert "edgekit[datasets]" in refused.value.hint


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="pip install 'edgekit[datasets]'")
def test_prepared_dataset_is_read_by_split_with_its_class_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dots").mkdir()
    (tmp_path / "dots" / "__init__.py").touch()
    (tmp_path / "dots" / "dots.py").write_text(BUILDER)
    prepare = "from dots.dots import Dots; Dots(data_dir='prepared').download_and_prepare()"
    subprocess.run([sys.executable, "-c", prepare], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    with Worker(tmp_path / "log.txt") as worker:
        found = opened("tfds:dots@test", tmp_path, worker=worker)
        assert found.open("x").shape == (10, 8, 8, 1)
        assert found.class_names == ("dark", "light")
        assert sorted(found.open_labels()) == [0] * 5 + [1] * 5
        assert opened("tfds:dots", tmp_path, worker=worker).count == 20
        for source, words in (("tfds:dots@tset", "no such split"), ("tfds:nodots", "no dataset")):
            with pytest.raises(DataError, match=words) as refused:
                opened(source, tmp_path, worker=worker)
            assert refused.value.code == "EK-DATA-087"
