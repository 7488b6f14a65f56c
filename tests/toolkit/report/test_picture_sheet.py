"""The sheet of worst images: what is drawn where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data import pixels
from edgekit.errors import DataError
from edgekit.report import pictures

GREY = np.tile(np.linspace(0, 255, 8).astype(np.uint8), (8, 1))
RED = np.zeros((8, 16, 3), np.uint8)
RED[..., 0] = 255


def test_sheet_shows_every_image_with_its_words(tmp_path: Path) -> None:
    images = [GREY, RED, GREY[..., None], GREY / 255, RED / 127.5 - 1, GREY]
    pictures.draw(range(6), images, ["dog"] * 6, ["cat"] * 6, tmp_path / "worst.png")
    sheet = np.asarray(Image.open(tmp_path / "worst.png"))
    width, height = pictures.SIDE + 2 * pictures.MARGIN, pictures.SIDE + 3 * pictures.LINE + 24
    assert sheet.shape == (2 * height, 5 * width, 3)
    left, middle = pictures.MARGIN, pictures.MARGIN + pictures.SIDE // 2
    assert sheet[left, left].tolist() == [0, 0, 0]
    # Twice as wide as high: centred, red, and paper below it.
    assert sheet[left + 4, width + middle].tolist() == [255, 0, 0]
    assert sheet[left + pictures.SIDE - 4, width + middle].tolist() == [255, 255, 255]
    first = sheet[left : left + pictures.SIDE, left : left + pictures.SIDE]
    for column in (2, 3):
        x = column * width + left
        assert np.array_equal(sheet[left : left + pictures.SIDE, x : x + pictures.SIDE], first)
    assert sheet[left + 4, 4 * width + middle].tolist() == [255, 0, 0]
    words = sheet[left + pictures.SIDE + 4 : height, :width]
    assert (words < 100).any()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0.0, 1.0]]), [[0, 255]]),
        (np.array([[0.0, 200.0]]), [[0, 200]]),
        (np.array([[-1.0, 1.0]]), [[0, 255]]),
        (np.array([[0.5, 0.5]]), [[128, 128]]),
        (np.array([[-3.0, -3.0]]), [[0, 0]]),
        (np.array([[-128, 127]], np.int8), [[0, 255]]),
    ],
)
def test_floats_are_drawn_in_the_range_they_have(
    image: np.ndarray,
    expected: list[list[int]],  # type: ignore[type-arg]
) -> None:
    assert pixels.pixels(image).tolist() == expected


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.array([[[0.0, 16.0]], [[0.0, 1.0]]]), [[0, 16]]),
        (np.array([[[0.0, 255.0]], [[0.0, 16.0]]]), [[0, 16]]),
        (np.array([[[0.0, 1.0]], [[0.0, 0.5]]]), [[0, 128]]),
        (np.array([[[0, 16]], [[0, 1]]], np.uint8), [[0, 16]]),
        (np.array([[[0, 255]], [[0, 16]]], np.uint8), [[0, 16]]),
    ],
    ids=["0..16", "0..255", "0..1", "bytes of 0..16", "bytes of 0..255"],
)
def test_dark_images_are_drawn_in_the_range_of_all_of_them(
    images: np.ndarray,
    expected: list[list[int]],  # type: ignore[type-arg]
) -> None:
    most = pixels.largest(images)
    if most is not None:
        assert most == 16.0
        assert pixels.pixels(images[0], most).tolist() == [[0, 255]]
    assert pixels.pixels(images[1], most).tolist() == expected


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (0, 4), (2, 4, 4, 3)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError) as caught:
        pixels.pixels(np.zeros(shape))
    assert caught.value.code == "EK-DATA-044"
