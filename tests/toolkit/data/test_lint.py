"""Every finding of the linter: quiet on real data, red on its planted fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.data import lint
from edgekit.data.lint import Subset, Use, noise, quantity
from edgekit.types import Advice, Preprocess, TensorSpec

Array = npt.NDArray[Any]
PIXELS = Preprocess(1 / 16, 0.0)
RAW = Preprocess()
IMAGE = (TensorSpec("image", (1, 8, 8, 1), "float32"),)
PHOTO = (TensorSpec("photo", (1, 16, 16, 3), "float32"),)
TABLE = (TensorSpec("left", (1, 4), "float32"), TensorSpec("right", (1, 4), "float32"))
TOKENS = (TensorSpec("tokens", (1, 12), "int8"),)
ORDER: tuple[Use, ...] = ("representative", "evaluation", "training")
Sets = list[tuple[dict[str, Array], Array | None]]


class Planted:
    """Real sets of items to plant faults in, and the linter over them."""

    def __init__(self, folder: Path, x: Array, y: Array) -> None:
        self.folder, self.x, self.y = folder, x, y
        self.random = np.random.default_rng(5)

    def digits(self) -> Sets:
        """200 digits to calibrate with, 600 to judge by, 997 to train on."""
        cuts = np.split(np.arange(len(self.x)), [200, 800])
        return [({"image": self.x[cut]}, self.y[cut]) for cut in cuts]

    def photos(self, count: int) -> tuple[dict[str, Array], Array | None]:
        """Smooth colour images: shaded from one random colour to two others."""
        first, down, across = self.random.uniform(0, 255, (3, count, 1, 1, 3))
        rows, columns = np.linspace(0, 1, 16)[:, None, None], np.linspace(0, 1, 16)[:, None]
        photos = first + (down - first) * rows + (across - first) * columns
        return {"photo": np.clip(photos, 0, 255).astype(np.float32)}, None

    def table(self, count: int) -> tuple[dict[str, Array], Array | None]:
        """Ages and incomes, say: two inputs of one shape, distributed differently."""
        left = self.random.normal(40, 12, (count, 4)).astype(np.float32)
        right = self.random.lognormal(8, 0.5, (count, 4)).astype(np.float32)
        return {"left": left, "right": right}, None

    def lint(
        self, sets: Sets, specs: tuple[TensorSpec, ...] = IMAGE, preprocess: Preprocess = PIXELS
    ) -> tuple[Advice, ...]:
        parts = []
        for use, (arrays, labels) in zip(ORDER, sets, strict=False):
            paths = {}
            for name, array in arrays.items():
                paths[name] = self.folder / f"{use}-{name}.npy"
                np.save(paths[name], array)
            index = np.arange(len(next(iter(arrays.values()))))
            parts.append(Subset(use, f"{use}.npz", paths, index, labels, specs, preprocess))
        findings, _ = lint.arrays(tuple(parts))
        return findings


@pytest.fixture(scope="module")
def loaded() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images[..., None].astype(np.uint8), np.asarray(found.target)


@pytest.fixture
def planted(tmp_path: Path, loaded: tuple[Array, Array]) -> Planted:
    return Planted(tmp_path, *loaded)


def severe(findings: tuple[Advice, ...]) -> dict[str, str]:
    return {f.code: f.severity for f in findings if f.severity != "info"}


def test_real_digits_have_no_finding(planted: Planted) -> None:
    assert planted.lint(planted.digits()) == ()


def test_photos_have_no_finding(planted: Planted) -> None:
    sets: Sets = [planted.photos(100), planted.photos(300)]
    assert planted.lint(sets, PHOTO, Preprocess(1 / 255, 0.0)) == ()


def test_tables_have_no_finding(planted: Planted) -> None:
    assert planted.lint([planted.table(100), planted.table(300)], TABLE, RAW) == ()


def test_random_table_has_no_finding_when_all_of_it_is_random(planted: Planted) -> None:
    sets: Sets = [
        ({"left": planted.random.normal(size=(n, 4)), "right": planted.random.random((n, 4))}, None)
        for n in (100, 400)
    ]
    assert planted.lint(sets, TABLE, RAW) == ()


def change(number: int, make: Callable[[Array, Array], tuple[Array, Array | None]]) -> Any:
    """A fault: the part of that number is made anew from its items and labels."""

    def fault(sets: Sets) -> Sets:
        arrays, labels = sets[number]
        assert labels is not None
        x, y = make(arrays["image"], labels)
        return [*sets[:number], ({"image": x}, y), *sets[number + 1 :]]

    return fault


def _noise(x: Array, y: Array) -> tuple[Array, Array | None]:
    return np.random.default_rng(1).integers(0, 17, x.shape).astype(np.uint8), y


def _blank(x: Array, y: Array) -> tuple[Array, Array | None]:
    x = x.copy()
    x[::10] = 3
    return x, y


DIGIT_FAULTS = {
    "raw where the others are scaled": (
        change(0, lambda x, y: (x.astype(np.float32) * 255, y)),
        "EK-LINT-010",
        "error",
    ),
    "scaled where the others are raw": (
        change(0, lambda x, y: (x.astype(np.float32) / 16, y)),
        "EK-LINT-010",
        "error",
    ),
    "scaled twice": (
        change(0, lambda x, y: (x.astype(np.float32) / 16, y)),
        "EK-LINT-012",
        "error",
    ),
    "evaluation scaled twice": (
        change(1, lambda x, y: (x.astype(np.float32) / 16, y)),
        "EK-LINT-012",
        "error",
    ),
    "overflowing": (
        change(0, lambda x, y: (x.astype(np.float64) * 1e300, y)),
        "EK-LINT-013",
        "error",
    ),
    "blank items": (change(0, _blank), "EK-LINT-014", "warning"),
    "all the same": (
        change(0, lambda x, y: (np.repeat(x[:1], 200, 0), y)),
        "EK-LINT-015",
        "error",
    ),
    "three classes of ten": (
        change(0, lambda x, y: (x[y < 3], y[y < 3])),
        "EK-LINT-020",
        "warning",
    ),
    "evaluation lacks a class of training": (
        change(1, lambda x, y: (x[y != 4], y[y != 4])),
        "EK-LINT-020",
        "warning",
    ),
    "one class crowds": (
        change(
            0,
            lambda x, y: (
                np.concatenate([x, x[y == 1]] + [np.roll(x[y == 1], k, 1) for k in range(1, 12)]),
                np.concatenate([y, *[y[y == 1]] * 12]),
            ),
        ),
        "EK-LINT-021",
        "warning",
    ),
    "repeated": (
        change(0, lambda x, y: (np.resize(x[:150], x.shape), np.resize(y[:150], y.shape))),
        "EK-LINT-030",
        "warning",
    ),
    "noise": (change(0, _noise), "EK-LINT-040", "error"),
}


@pytest.mark.parametrize("name", DIGIT_FAULTS)
def test_fault_is_found(planted: Planted, name: str) -> None:
    fault, code, severity = DIGIT_FAULTS[name]
    findings = planted.lint(fault(planted.digits()))
    assert severe(findings).get(code) == severity
    assert all(finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("borrower", "lender", "code"), [(0, 1, "EK-LINT-031"), (1, 2, "EK-LINT-032")]
)
def test_shared_items_are_found(planted: Planted, borrower: int, lender: int, code: str) -> None:
    sets = planted.digits()
    sets[borrower] = ({"image": sets[lender][0]["image"][:200]}, sets[borrower][1][:200])  # type: ignore[index]
    findings = planted.lint(sets)
    assert severe(findings) == {code: "warning"}
    assert "200 of 200 items" in findings[0].message


def test_shared_items_are_found_across_dtypes(planted: Planted) -> None:
    sets = planted.digits()
    sets[0] = ({"image": sets[1][0]["image"][:200].astype(np.float64)}, None)
    assert severe(planted.lint(sets)) == {"EK-LINT-031": "warning"}


def test_shared_rows_are_no_fault_of_tables_that_repeat_themselves(planted: Planted) -> None:
    def few_rows(count: int) -> tuple[dict[str, Array], Array | None]:
        rows = planted.random.integers(0, 2, (count, 4)).astype(np.float32)
        return {"left": rows, "right": rows[:, ::-1].copy()}, None

    found = severe(planted.lint([few_rows(100), few_rows(400)], TABLE, RAW))
    assert "EK-LINT-031" not in found


def test_missing_classes_are_a_note_where_so_few_items_miss_them_by_chance(
    planted: Planted,
) -> None:
    sets = planted.digits()
    arrays, labels = sets[0]
    assert labels is not None
    sets[0] = ({"image": arrays["image"][:6]}, labels[:6])
    findings = planted.lint(sets)
    assert [(f.code, f.severity) for f in findings] == [("EK-LINT-020", "info")]


def test_one_hot_labels_are_classes(planted: Planted) -> None:
    sets: Sets = [(x, np.eye(10)[y]) for x, y in planted.digits()]  # type: ignore[index]
    arrays, labels = sets[0]
    assert labels is not None
    sets[0] = ({"image": arrays["image"][labels[:, 7] == 0]}, labels[labels[:, 7] == 0])
    findings = planted.lint(sets)
    assert severe(findings) == {"EK-LINT-020": "warning"}
    assert "1 of the 10 classes" in findings[0].message


def test_class_coverage_is_unchecked_without_labels(planted: Planted) -> None:
    (arrays, _), (others, labels), _ = planted.digits()
    paths = {}
    for use, items in (("representative", arrays), ("evaluation", others)):
        paths[use] = planted.folder / f"{use}.npy"
        np.save(paths[use], items["image"])
    first = Subset(
        "representative",
        "r",
        {"image": paths["representative"]},
        np.arange(200),
        None,
        IMAGE,
        PIXELS,
    )
    second = Subset(
        "evaluation", "e", {"image": paths["evaluation"]}, np.arange(600), labels, IMAGE, PIXELS
    )
    _, unchecked = lint.arrays((first, second))
    assert [(one.check, one.reason) for one in unchecked] == [
        ("class coverage", "the representative data (r) has no labels")
    ]


def test_exchanged_inputs_are_found(planted: Planted) -> None:
    arrays, _ = planted.table(100)
    exchanged = {"left": arrays["right"], "right": arrays["left"]}
    findings = planted.lint([(exchanged, None), planted.table(300)], TABLE, RAW)
    assert severe(findings)["EK-LINT-002"] == "error"
    assert "EK-LINT-041" not in severe(findings)


def test_random_table_is_found_beside_a_real_one(planted: Planted) -> None:
    # Of the same range, so that this gives nothing away.
    random = {
        "left": planted.random.uniform(60, 130, (100, 4)),
        "right": planted.random.uniform(0, 8000, (100, 4)),
    }
    findings = planted.lint([(random, None), planted.table(300)], TABLE, RAW)
    assert severe(findings) == {"EK-LINT-041": "warning"}


def test_dead_channel_is_found(planted: Planted) -> None:
    arrays, _ = planted.photos(100)
    arrays["photo"][..., 2] = 0
    findings = planted.lint([(arrays, None), planted.photos(300)], PHOTO, RAW)
    assert severe(findings) == {"EK-LINT-016": "warning"}
    assert "1 of 3 channels" in findings[0].message


def test_integers_that_wrap_around_are_found(planted: Planted) -> None:
    tokens = planted.random.integers(0, 100, (50, 12))
    assert planted.lint([({"tokens": tokens}, None)], TOKENS, RAW) == ()
    tokens[7, 3] = 200
    findings = planted.lint([({"tokens": tokens}, None)], TOKENS, RAW)
    assert severe(findings) == {"EK-LINT-001": "error"}
    assert "(items 7)" in findings[0].message


def test_items_are_numbered_as_in_their_file(planted: Planted) -> None:
    sets = planted.digits()
    path = planted.folder / "all.npy"
    x = np.concatenate([s[0]["image"] for s in sets])
    x[1200] = x[1100]
    np.save(path, x)
    part = Subset(
        "representative", "all.npz", {"image": path}, np.arange(1000, 1300), None, IMAGE, PIXELS
    )
    findings, _ = lint.arrays((part,))
    assert [f.code for f in findings] == ["EK-LINT-030"]
    assert "(items 1200)" in findings[0].message


def test_noise_in_every_set_is_a_warning(planted: Planted) -> None:
    sets: Sets = [
        ({"image": planted.random.normal(size=(n, 8, 8, 1)).astype(np.float32)}, None)
        for n in (100, 300)
    ]
    assert severe(planted.lint(sets, IMAGE, RAW)) == {"EK-LINT-040": "warning"}


@pytest.mark.parametrize("shape", [(50, 20), (50, 4, 4, 1), (50, 8, 8, 16)])
def test_structure_is_looked_for_in_images_alone(planted: Planted, shape: tuple[int, ...]) -> None:
    assert noise.correlation(planted.random.normal(size=shape)) is None


def ranges(values: Array) -> Array:
    """Item ranges ``[n, tensors, 2]`` from 0 to each value ``[n, tensors]``."""
    return np.stack([np.zeros_like(values), values], axis=-1)


def test_curve_saturates_on_bounded_activations(planted: Planted) -> None:
    curve = lint.saturation(("a", "b"), ranges(planted.random.uniform(0.99, 1, (200, 2))))
    assert curve.sufficient is not None
    assert curve.sufficient < 20
    assert curve.counts[-1] == 199
    assert list(curve.covered) == sorted(curve.covered)
    assert list(quantity.lint(curve, 200, "r.npz")) == []


def test_curve_does_not_saturate_where_each_item_reaches_further() -> None:
    steady = np.ones(64)
    growing = 1.5 ** np.arange(64)
    curve = lint.saturation(("steady", "growing"), ranges(np.stack([steady, growing], 1)))
    assert curve.sufficient is None
    assert curve.widening == "growing"
    (finding,) = quantity.lint(curve, 64, "r.npz")
    assert (finding.code, finding.severity) == ("EK-LINT-050", "warning")
    assert "'growing'" in finding.message


def test_curve_of_two_items_by_hand() -> None:
    curve = lint.saturation(("a",), ranges(np.array([[1.0], [4.0]])))
    # The larger covers all of the smaller; the smaller a quarter of the larger.
    assert curve.counts == (1,)
    assert curve.covered == (0.625,)


@pytest.mark.parametrize(("count", "severity"), [(10, "warning"), (80, "info"), (200, None)])
def test_few_items_are_told_by_their_number_without_a_model(
    count: int, severity: str | None
) -> None:
    found = [f.severity for f in quantity.lint(None, count, "r.npz")]
    assert found == ([severity] if severity else [])
