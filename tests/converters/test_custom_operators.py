"""Which runtimes carry a custom operator: the table against the runtimes that are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from custom_files import CUSTOM_FILES

from edgekit.converters.custom_operators import supporting_runtimes, unsupported_operators

# In a process of its own: a runtime may crash on an operator that lacks its inputs.
OPEN = """
import sys
runtime, paths = sys.argv[1], sys.argv[2:]
if runtime == "litert":
    from ai_edge_litert.interpreter import Interpreter
elif runtime == "tflite-runtime":
    from tflite_runtime.interpreter import Interpreter
for path in paths:
    if runtime == "tflm":
        from tflite_micro import runtime as tflm
        tflm.Interpreter.from_file(path, arena_size=1 << 20)
    else:
        Interpreter(model_path=path).allocate_tensors()
"""


def opened(runtime: str, path: Path) -> bool:
    """Whether a runtime allocates a file."""
    command = [sys.executable, "-c", OPEN, runtime, str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("operator", CUSTOM_FILES)
@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime", "tflm"])
def test_custom_operator_is_carried_as_the_table_says(
    tmp_path: Path, operator: str, runtime: str
) -> None:
    path = tmp_path / "custom.tflite"
    path.write_bytes(CUSTOM_FILES[operator])
    assert opened(runtime, path) == (runtime in supporting_runtimes(operator))
    assert (operator in unsupported_operators([operator], runtime)) == (
        runtime not in supporting_runtimes(operator)
    )


def test_programs_of_a_compiler_are_carried_by_no_runtime() -> None:
    assert supporting_runtimes("ethos-u") == supporting_runtimes("edgetpu-custom-op") == ()
    assert unsupported_operators(["ethos-u", "Sinh"], "tflm") == ("Sinh", "ethos-u")
