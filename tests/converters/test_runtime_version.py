"""The minimum runtime of whole files, and which runtimes they fit."""

from __future__ import annotations

import flatfiles
import pytest

from edgekit.converters import flatbuffer
from edgekit.converters.runtime_version import MinimumRuntime, fits, minimum_runtime


def minimum(content: bytes) -> MinimumRuntime:
    return minimum_runtime(flatbuffer.parse(content, "built"))


def one(operator: str, version: int = 1) -> bytes:
    """A file with one float operator."""
    file = flatfiles.File()
    x, y = file.tensor("x", (1, 4)), file.tensor("y", (1, 4))
    file.inputs, file.outputs = [x], [y]
    file.node(file.code(operator, version), [x], [y])
    return file.build()


def test_minimum_is_forced_by_the_newest_operator() -> None:
    found = minimum(flatfiles.convolutional())
    assert (found.release, found.litert) == ("1.14.0", "1.0.1")
    assert [str(need) for need in found.forced_by] == [
        "CONV_2D version 3 (features)",
        "MAX_POOL_2D version 2 (pooled)",
        "FULLY_CONNECTED version 4 (digit)",
    ]
    assert found.claimed == "1.5.0"
    assert found.understated == ()
    assert found.title == "TFLite 1.14.0, LiteRT 1.0.1"


def test_minimum_counts_what_is_used_over_what_is_stated() -> None:
    found = minimum(flatfiles.dense("INT8"))
    assert (found.release, found.litert, found.claimed) == ("2.17.0", "1.0.1", "1.5.0")
    (need,) = found.forced_by
    assert (need.operator, need.version, need.stated, need.tensor) == (
        "FULLY_CONNECTED",
        12,
        1,
        "y",
    )
    assert found.understated == (need,)
    assert "_experimental_disable_per_channel_quantization_for_dense_layers" in found.avoid


def test_minimum_is_lower_with_one_scale() -> None:
    found = minimum(flatfiles.dense("INT8", stated=9, per_channel=False))
    assert (found.release, found.understated, found.avoid) == ("2.3.0", (), "")


def test_minimum_names_packages_that_have_it() -> None:
    had = {str(package) for package in minimum(flatfiles.dense("INT8")).packages}
    assert {
        "pip tensorflow 2.17.0",
        "pip ai-edge-litert 1.0.1",
        "Maven org.tensorflow:tensorflow-lite 2.17.0",
        "CocoaPods TensorFlowLiteSwift 2.17.0",
    } <= had
    (old,) = (package for package in had if "tflite-runtime" in package)
    assert old == (
        "pip tflite-runtime unavailable: the newest version with a source is 2.14.0;"
        " it needs 2.17.0"
    )


def test_minimum_takes_the_next_package_where_a_release_was_not_published() -> None:
    had = {p.name: p.version for p in minimum(one("STABLEHLO_ADD")).packages}
    assert had["tensorflow"] == "2.16.1"
    # No pod came out between 2.14.0 and 2.17.0.
    assert had["TensorFlowLiteSwift"] == "2.17.0"


def test_minimum_says_where_tensorflow_has_no_release_yet() -> None:
    found = minimum(one("GELU", 3))
    assert (found.release, found.litert) == ("", "2.1.6")
    assert found.title == "LiteRT 2.1.6; in no TensorFlow release yet"
    assert {p.name for p in found.packages if p.version} == {"ai-edge-litert"}


@pytest.mark.parametrize("operator", ["GELU", "UNKNOWN"])
def test_minimum_is_unknown_for_versions_from_the_future(operator: str) -> None:
    content = one("GELU", 77)
    if operator == "UNKNOWN":
        flatfiles.OPERATORS["NEW"] = 299
        try:
            content = one("NEW")
        finally:
            del flatfiles.OPERATORS["NEW"]
    found = minimum(content)
    assert (found.release, found.litert, found.title) == ("", "", "none that is known")
    assert "is in no runtime that the table of" in found.reason
    assert not fits(found, "litert", "2.3.0").fits


def test_minimum_counts_int4_by_what_was_measured() -> None:
    found = minimum(flatfiles.dense("INT4"))
    assert (found.release, found.litert) == ("2.14.0", "1.0.1")
    assert "with int4 weights under float activations" in str(found.forced_by[0])


def test_custom_operator_that_no_runtime_carries_is_left_to_the_application() -> None:
    found = minimum(one("Sinh"))
    assert (found.custom, found.flex, found.forced_by) == (("Sinh",), (), ())
    answer = fits(found, "litert", "2.3.0")
    assert answer.fits is False
    assert "register Sinh in the application" in answer.fix


def test_flex_operators_fit_no_runtime_without_tensorflow() -> None:
    found = minimum(one("FlexSoftplus"))
    assert found.flex == ("FlexSoftplus",)
    answer = fits(found, "tflite-runtime", "2.14.0")
    assert answer.fits is False
    assert "FlexSoftplus" in answer.reason
    assert "SELECT_TF_OPS" in answer.fix


@pytest.mark.parametrize(
    ("runtime", "version", "expected"),
    [
        ("tflite-runtime", "2.14.0", False),
        ("tflite-runtime", "2.17.0", True),
        ("tensorflow", "2.21.0", True),
        ("litert", "1.0.1", True),
        ("litert", "2.3.0", True),
        ("tflm", "0.dev20261023182759", None),
    ],
)
def test_fits_compares_on_the_axis_of_the_runtime(
    runtime: str, version: str, expected: bool | None
) -> None:
    answer = fits(minimum(flatfiles.dense("INT8", stated=12)), runtime, version)
    assert answer.fits is expected
    if expected is False:
        assert "FULLY_CONNECTED version 12 (y)" in answer.reason
        assert "disable per-channel dense" in answer.fix


@pytest.mark.parametrize(
    ("operator", "runs"),
    [
        ("TFLite_Detection_PostProcess", {"litert", "tflite-runtime"}),
        ("Convolution2DTransposeBias", {"litert"}),
        ("SignalWindow", set()),
    ],
)
def test_custom_operators_count_as_each_runtime_carries_them(operator: str, runs: set[str]) -> None:
    found = minimum(one(operator))
    assert {r for r in ("litert", "tflite-runtime") if fits(found, r, "2.14.0").fits} == runs
