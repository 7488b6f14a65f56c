"""LiteRT's reference kernels as a runtime: python_runner.py's protocol, no optimised kernel.

Same command line and requests as ``python_runner.py``, which must lie beside this file. They are
the plain C++ kernels that others are tested against (``OpResolverType.BUILTIN_REF``): slow, on one
thread, and without some operators, ELU among them. What a kernel cannot run, it says in an error,
or it aborts the process.
"""

from __future__ import annotations

import sys
from functools import partial

import python_runner
from python_runner import RuntimeMissing, TFLiteModel


def import_reference() -> python_runner.Opener:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise RuntimeMissing(
            "ai-edge-litert is not installed: pip install ai-edge-litert"
        ) from error
    interpreter = partial(Interpreter, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    return partial(TFLiteModel, interpreter)


python_runner.RUNTIMES["reference"] = (import_reference, "ai-edge-litert")

if __name__ == "__main__":
    sys.exit(python_runner.main(sys.argv[1:]))
