"""The operator resolver: exactly the operators of a file, by TFLM's own method names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rewriting import rewrite
from tflite_files import G, N, T, build

from edgekit.converters import flatbuffer
from edgekit.converters.micro import resolver
from edgekit.errors import ConversionError
from edgekit.targets.runners.probe import probe_model


def custom(model: Any, name: str) -> None:
    """Make the probe's one operator a custom one."""
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = name.encode()


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe_model())
    return path


def test_header_adds_each_operator_of_the_model_once(converted: Path, tmp_path: Path) -> None:
    text = resolver.write(converted / "int8.tflite", "tiny-net", tmp_path).read_text()
    added = re.findall(r"resolver\.(\w+)\(\)", text)
    operators = {o.name for o in flatbuffer.read(converted / "int8.tflite").operators}
    assert added == sorted(resolver.table().builtin[name] for name in operators)
    assert {"AddConv2D", "AddFullyConnected", "AddSoftmax"} <= set(added)
    assert f"constexpr int tiny_net_operators = {len(added)};" in text


@pytest.mark.parametrize(
    ("name", "method"),
    [("ethos-u", "AddEthosU"), ("TFLite_Detection_PostProcess", "AddDetectionPostprocess")],
)
def test_custom_operator_is_added_by_its_own_method(
    probe: Path, tmp_path: Path, name: str, method: str
) -> None:
    path = rewrite(probe, tmp_path / "custom.tflite", lambda model: custom(model, name))
    assert resolver.methods(flatbuffer.read(path)) == (method,)


@pytest.mark.parametrize("name", ["FlexErf", "CONV_2D"])
def test_unknown_custom_operator_raises_with_its_tensor(
    probe: Path, tmp_path: Path, name: str
) -> None:
    path = rewrite(probe, tmp_path / "custom.tflite", lambda model: custom(model, name))
    with pytest.raises(ConversionError, match=rf"EK-CONVERT-104.*{name} \(y\)"):
        resolver.methods(flatbuffer.read(path))


def test_builtin_operator_that_tflm_lacks_raises_with_its_tensor(
    probe: Path, tmp_path: Path
) -> None:
    def edit(model: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode = 150, 127

    path = rewrite(probe, tmp_path / "gelu.tflite", edit)
    with pytest.raises(ConversionError, match=r"TFLM does not have GELU \(y\)"):
        resolver.write(path, "gelu", tmp_path)
    assert not list(tmp_path.glob("*.h"))


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_check_takes_what_tflm_computes(converted: Path, precision: str) -> None:
    resolver.check(flatbuffer.read(converted / f"{precision}.tflite"))


@pytest.mark.parametrize(
    ("precision", "reason"), [("dynamic", "integer weights with float"), ("float16", "float16")]
)
def test_check_refuses_what_tflm_has_no_kernels_for(
    converted: Path, precision: str, reason: str
) -> None:
    with pytest.raises(ConversionError, match=f"EK-CONVERT-108.*{reason}"):
        resolver.check(flatbuffer.read(converted / f"{precision}.tflite"))


@pytest.mark.parametrize("channels", [1, 3])
def test_check_refuses_to_dequantize_by_channel(tmp_path: Path, channels: int) -> None:
    # TFLM takes the first channel's scale for all: wrong answers, and no error.
    weights = T("w", [3, 4], "INT8", np.ones((3, 4), "int8"), scale=[0.1, 0.2, 0.3][:channels])
    tensors = [weights, T("f", [3, 4]), T("x", [3, 4]), T("y", [3, 4])]
    nodes = [N("DEQUANTIZE", ["w"], ["f"], 2), N("ADD", ["x", "f"], ["y"])]
    (tmp_path / "m.tflite").write_bytes(build(G(tensors, nodes, ["x"], ["y"])))
    file = flatbuffer.read(tmp_path / "m.tflite")
    if channels == 1:
        resolver.check(file)
        return
    with pytest.raises(ConversionError, match=r"EK-CONVERT-108.*first channel's scale for all: w"):
        resolver.check(file)


def test_table_names_operators_of_the_schema_and_a_method_each() -> None:
    from ai_edge_litert import schema_py_generated as schema

    known = resolver.table()
    assert all(hasattr(schema.BuiltinOperator, name) for name in known.builtin)
    methods = [*known.builtin.values(), *known.custom.values()]
    assert len(set(methods)) == len(methods) == 118
    assert all(re.fullmatch(r"Add[A-Z]\w+", method) for method in methods)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", known.date)
