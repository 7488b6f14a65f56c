"""Edits of a ``.tflite`` file's flatbuffer, to plant what a reader or compiler must see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def rewrite(source: Path, path: Path, edit: Callable[[Any], None]) -> Path:
    """``source`` with ``edit`` applied to its objects (the schema's ``ModelT``), at ``path``."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(source.read_bytes(), 0))
    edit(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
