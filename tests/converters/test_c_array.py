"""A model as C source: the object that a compiler makes of it holds the model's bytes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgekit.converters.micro import c_array
from edgekit.converters.micro.names import guard, identifier
from edgekit.errors import ModelError
from edgekit.targets.runners.probe import probe_model

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ here")

PRINT = """
#include <cstdint>
#include <cstdio>
#include "{name}_model.h"
int main() {{
  std::printf("%d %u\\n", static_cast<int>(reinterpret_cast<std::uintptr_t>({name}_model) % 16),
              {name}_model_size);
  std::fwrite({name}_model, 1, {name}_model_size, stdout);
}}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe_model())
    return path


@needs_compiler
@pytest.mark.parametrize(
    ("name", "safe"), [("digits", "digits"), ("2nd-best v1.0", "model_2nd_best_v1_0")]
)
def test_compiled_array_holds_the_models_bytes_aligned(
    model: Path, tmp_path: Path, name: str, safe: str
) -> None:
    _, source = c_array.write(model, name, tmp_path)
    main = tmp_path / "main.cc"
    main.write_text(PRINT.format(name=safe))
    warnings = ("-Wall", "-Wextra", "-Werror", "-std=c++11")
    subprocess.run(
        ["g++", *warnings, "-o", tmp_path / "show", main, source], check=True, cwd=tmp_path
    )
    first, _, content = subprocess.run(
        [tmp_path / "show"], check=True, capture_output=True
    ).stdout.partition(b"\n")
    assert first.decode() == f"0 {model.stat().st_size}"
    assert content == model.read_bytes()


@needs_compiler
@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm here")
def test_compiled_array_is_read_only(model: Path, tmp_path: Path) -> None:
    _, source = c_array.write(model, "probe", tmp_path)
    subprocess.run(["g++", "-c", "-o", tmp_path / "probe.o", source], check=True, cwd=tmp_path)
    listed = subprocess.run(
        ["nm", tmp_path / "probe.o"], check=True, capture_output=True, text=True
    ).stdout
    kinds = {line.split()[-1]: line.split()[-2] for line in listed.splitlines()}
    assert kinds["probe_model"] == kinds["probe_model_size"] == "R"


@needs_compiler
@pytest.mark.parametrize(("declared", "aligned"), [("alignas(16) ", True), ("", False)])
def test_declaration_aligns_the_array(
    model: Path, tmp_path: Path, declared: str, aligned: bool
) -> None:
    _, source = c_array.write(model, "probe", tmp_path)
    source.write_text(source.read_text().replace("alignas(16) ", declared))
    check = f'#include "{source.name}"\nstatic_assert(__alignof__(probe_model) == 16, "");\n'
    (tmp_path / "check.cc").write_text(check)
    done = subprocess.run(
        ["g++", "-fsyntax-only", "check.cc"], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode == 0) == aligned


def test_source_is_the_same_every_time(model: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first = c_array.write(model, "probe", tmp_path)
    second = c_array.write(shutil.copy(model, elsewhere / "copy.tflite"), "probe", elsewhere)
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


def test_header_says_what_it_declares(model: Path, tmp_path: Path) -> None:
    header, _ = c_array.write(model, "probe", tmp_path)
    text = header.read_text()
    assert "//   ADD v1, 1" in text
    assert text.count(guard("probe_model.h")) == 3
    assert "extern const unsigned char probe_model[];" in text


def test_name_cannot_end_the_comment(model: Path, tmp_path: Path) -> None:
    header, _ = c_array.write(model, "odd\\\nint x;", tmp_path)
    assert "int x" not in header.read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("digits", "digits"), ("a--b", "a_b"), ("_x_", "x"), ("7up", "model_7up"), ("é", "model")],
)
def test_identifier_is_safe_in_c(name: str, expected: str) -> None:
    assert identifier(name) == expected


def test_array_of_no_model_raises(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(b"no model at all, but long enough")
    with pytest.raises(ModelError, match="EK-MODEL-003"):
        c_array.write(tmp_path / "x.tflite", "x", tmp_path)
    assert not list(tmp_path.glob("*.cc"))
