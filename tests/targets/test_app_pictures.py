"""The app in a bundle reads pictures to the byte as the host does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from edgekit.data import images
from edgekit.sample_apps import FOLDER
from edgekit.types import Preprocess, TensorSpec


@pytest.fixture(scope="module")
def app_pictures() -> ModuleType:
    path = FOLDER / "linux_python" / "pictures.py"
    spec = importlib.util.spec_from_file_location("app_pictures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photo(path: Path, orientation: int = 1, mode: str = "RGB") -> Path:
    """A picture of noise, 13 high and 22 wide, so that every way of reading it differs."""
    noise = np.random.default_rng(5).integers(0, 256, (13, 22, 3), np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    picture.save(path, exif=exif)
    return path


@pytest.mark.parametrize("color", ["rgb", "bgr", "grayscale"])
@pytest.mark.parametrize("crop", [None, "center"])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("method", sorted(images.FILTERS))
def test_app_reads_a_picture_to_the_byte_as_the_host(
    app_pictures: ModuleType, tmp_path: Path, color: str, crop: str | None, layout: str, method: str
) -> None:
    preprocess = Preprocess(
        resize=(8, 10), crop=crop, color=color, method=method, model_layout=layout
    )
    channels = 1 if color == "grayscale" else 3
    shape = [channels, 8, 10] if layout == "nchw" else [8, 10, channels]
    spec = app_pictures.resolved(preprocess.facts, shape)
    for orientation in (1, 6):
        path = photo(tmp_path / f"{orientation}.png", orientation)
        got = app_pictures.read(str(path), spec)
        expected = images.read(path, path.name, preprocess).array
        assert got.shape == tuple(shape)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("shape", [(None, 6, 9, 3), (None, 6, 9, 1), (None, 3, 6, 9)])
@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "RGB"), ("a.png", "P"), ("a.png", "RGBA")])
def test_app_takes_what_the_spec_leaves_open_from_the_model_as_the_host_does(
    app_pictures: ModuleType, tmp_path: Path, shape: tuple[int | None, ...], name: str, mode: str
) -> None:
    path = photo(tmp_path / name, mode=mode)
    preprocess = images.resolved(Preprocess(), (TensorSpec("x", shape, "float32"),))
    spec = app_pictures.resolved({"scale": 1.0, "offset": 0.0}, list(shape[1:]))
    got = app_pictures.read(str(path), spec)
    np.testing.assert_array_equal(got, images.read(path, name, preprocess).array)
