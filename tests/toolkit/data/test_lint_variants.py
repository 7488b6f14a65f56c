"""Other preparations of the items: the right values, and the option that makes them for good."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.data.lint import variants
from edgekit.data.lint.variants import number
from edgekit.types import Preprocess, TensorSpec

PHOTO = TensorSpec("photo", (1, 4, 6, 3), "float32")


def photos(low: float, high: float) -> np.ndarray:
    items = np.random.default_rng(1).uniform(low, high, (5, 4, 6, 3)).astype(np.float32)
    items[0, 0, 0], items[0, 0, 1] = low, high
    return items


@pytest.mark.parametrize(
    ("given", "preprocess", "title", "expected", "option"),
    [
        ((0, 255), Preprocess(), "divided by 255", (0, 1), "--rescale=1/255 "),
        (
            (0, 255),
            Preprocess(),
            "scaled to -1..1 (x/127.5 - 1)",
            (-1, 1),
            "--rescale=2/255 --offset=-1 ",
        ),
        ((0, 16), Preprocess(), "divided by 16", (0, 1), "--rescale=1/16 "),
        ((0, 1), Preprocess(1 / 255), "times 255", (0, 255), "--rescale=1 "),
        ((0, 1 / 255), Preprocess(1 / 65025), "times 255", (0, 1), "--rescale=1/255 "),
        (
            (0, 1),
            Preprocess(1 / 255),
            "scaled to -1..1 (2x - 1)",
            (-1, 1),
            "--rescale=2/255 --offset=-1 ",
        ),
        ((0, 1), Preprocess(1 / 255), "inverted (1 - x)", (0, 1), "--rescale=-1/255 --offset=1 "),
        (
            (-1, 1),
            Preprocess(1 / 127.5, -1),
            "scaled to 0..1 ((x + 1)/2)",
            (0, 1),
            "--rescale=1/255 --offset=0 ",
        ),
        (
            (-1, 1),
            Preprocess(1 / 127.5, -1),
            "scaled to 0..255 ((x + 1)·127.5)",
            (0, 255),
            "--rescale=1 --offset=0 ",
        ),
    ],
)
def test_scaling_gives_its_range_and_its_option(
    given: tuple[float, float],
    preprocess: Preprocess,
    title: str,
    expected: tuple[float, float],
    option: str,
) -> None:
    items = photos(*given)
    (found,) = [v for v in variants(items, PHOTO, preprocess) if v.title == title]
    made = found.apply(items)
    assert made.dtype == np.float32
    np.testing.assert_allclose((made.min(), made.max()), expected, atol=1e-4)
    assert found.fix.startswith(option)


def test_channels_are_exchanged_and_transposed() -> None:
    items = photos(0, 1)
    found = {v.title: v for v in variants(items, PHOTO, Preprocess())}
    assert (found["red and blue exchanged"].apply(items) == items[..., ::-1]).all()
    reshaped = np.moveaxis(items, -1, 1).reshape(items.shape)
    assert (found["channels-first"].apply(reshaped) == items).all()


def test_integer_inputs_have_no_variants() -> None:
    tokens = TensorSpec("tokens", (1, 4), "int32")
    assert variants(np.zeros((3, 4), np.int32), tokens, Preprocess()) == ()


@pytest.mark.parametrize(
    ("value", "text"), [(1 / 255, "1/255"), (2 / 255, "2/255"), (255.0, "255"), (0.5, "1/2")]
)
def test_factor_is_written_as_the_option_reads_it(value: float, text: str) -> None:
    from edgekit.project import parse_number

    assert number(value) == text
    assert parse_number(number(value)) == pytest.approx(value, rel=1e-12)
