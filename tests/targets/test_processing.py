"""Pre- and postprocessing: the spec of a bundle, and its numpy form against the golden vectors."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import processing_cases
import pytest
from numpy_answers import NUMPY, Answers

from edgekit.contracts.target import doubler
from edgekit.targets.bundles import Answers as ClassNames
from edgekit.targets.bundles.processing import PictureSpec, spec_of
from edgekit.types import Preprocess, TensorSpec

FAULTS = {
    "a pixel is cut off, not rounded": (
        "edgekit_pictures.py",
        "total + (1 << (WEIGHT_BITS - 1))",
        "total",
    ),
    "a step is multiplied, not added": (
        "edgekit_pictures.py",
        "places.append(int(position))",
        "places.append(int((len(places) + 0.5) * step))",
    ),
    "the height is resized first": (
        "edgekit_pictures.py",
        '    pixels = resample(pixels, 1, method, columns[0], columns[1], picture["width"])\n',
        '    pixels = resample(pixels, 0, method, rows[0], rows[1], picture["height"])\n'
        '    rows = (picture["height"], 0)\n'
        '    pixels = resample(pixels, 1, method, columns[0], columns[1], picture["width"])\n',
    ),
    "halves are rounded up": ("edgekit_values.py", "np.rint(real / ", "np.floor(0.5 + real / "),
    "of equal scores the last is best": (
        "edgekit_values.py",
        'np.argsort(-np.asarray(scores).reshape(-1), kind="stable")',
        "np.argsort(np.asarray(scores).reshape(-1))[::-1]",
    ),
    "the window is not a Hann window": ("edgekit_signals.py", "0.5 - 0.5 *", "0.54 - 0.46 *"),
    "boxes of other classes are suppressed": ("edgekit_boxes.py", "if same == category", ""),
}


@pytest.fixture(scope="module")
def cases() -> list[processing_cases.Case]:
    return processing_cases.cases()


def test_numpy_form_answers_as_pillow_the_runner_and_the_host(
    cases: list[processing_cases.Case],
) -> None:
    assert processing_cases.problems(cases, Answers().lines(cases)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_numpy_form_is_seen(
    cases: list[processing_cases.Case], tmp_path: Path, fault: str
) -> None:
    folder = Path(shutil.copytree(NUMPY, tmp_path / "numpy"))
    file, right, wrong = FAULTS[fault]
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong))
    assert processing_cases.problems(cases, Answers(folder).lines(cases))


def test_spec_is_read_from_the_contents_of_a_bundle(tmp_path: Path) -> None:
    contents = doubler(tmp_path, labels=("a", "b", "c", "d"))
    spec = spec_of(contents)
    (item,), (output,) = spec.inputs, spec.outputs
    assert (item.name, item.shape, item.dtype, item.scale) == ("x", (4,), "float32", 0.0)
    assert (item.factors, item.offsets, item.picture) == ((0.5,), (1.0,), None)
    assert (output.name, output.shape, output.activation) == ("y", (4,), "none")
    assert spec.labels == ("a", "b", "c", "d")
    assert spec.parts == ("values",)


def test_logits_of_classes_become_scores_by_softmax(tmp_path: Path) -> None:
    contents = doubler(tmp_path, labels=("a", "b", "c", "d"))
    answers = ClassNames("y", ("d", "d", "d"))
    scored = replace(contents, golden=replace(contents.golden, answers=answers))
    assert spec_of(scored).outputs[0].activation == "softmax"
    shares = {"y": np.full((3, 4), 0.25, np.float32)}
    known = replace(scored, golden=replace(scored.golden, outputs=shares))
    assert spec_of(known).outputs[0].activation == "none"
    assert spec_of(known).answers == "y"


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_pictures_take_their_settings_and_channels_from_the_preprocessing(
    tmp_path: Path, layout: str
) -> None:
    contents = doubler(tmp_path)
    shape = (6, 9, 3) if layout == "nhwc" else (3, 6, 9)
    preprocess = Preprocess((0.1, 0.2, 0.3), 1.0, color="bgr", crop="center", method="area")
    inputs = {"x": np.zeros((2, *shape), np.uint8)}
    spec = spec_of(
        replace(
            contents,
            inputs=(TensorSpec("x", (None, *shape), "float32"),),
            preprocess=preprocess,
            golden=replace(contents.golden, inputs=inputs),
        )
    )
    (item,) = spec.inputs
    assert item.picture == PictureSpec(6, 9, "bgr", "area", True, layout, True)
    assert item.factors == tuple(float(np.float32(v)) for v in (0.1, 0.2, 0.3))
    assert item.offsets == (1.0, 1.0, 1.0)
    assert item.channel_stride == (1 if layout == "nhwc" else 54)
    assert spec.parts == ("values", "pictures")
