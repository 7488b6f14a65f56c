"""The layers of every candidate beside those of the reference, where a run is asked for them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from edgekit.converters import tflite
from edgekit.decoding import decode
from edgekit.errors import EdgekitError
from edgekit.evaluation.layers import LayerSide, layer_parity
from edgekit.pipeline.answers import JUDGE
from edgekit.pipeline.details.layers import layer_errors
from edgekit.pipeline.float_file import main_file
from edgekit.pipeline.items import Items
from edgekit.pipeline.quantize import float_file
from edgekit.pipeline.run import Run
from edgekit.store import sha256
from edgekit.types import Candidate, Json, SavedModel
from edgekit.types.details import LayerErrors

DEVICE = f"local:{JUDGE}"
SAME = "it is the file that the others are compared with"
NO_FILE = "there is no file"

#: The errors of each candidate by id, or why there are none.
Errors = Mapping[str, LayerErrors | str]


def compare_layers(
    run: Run, reference: SavedModel, candidates: Sequence[Candidate], items: Items
) -> Errors:
    """Compare every candidate layer by layer with the reference's float32 file, where asked for.

    What cannot be compared is not an error, but says why.
    """
    options = run.plan.options
    if not (options.layers and options.evaluate):
        return {}
    with run.stage("layers"):
        try:
            path = _reference_file(run, reference, items)
        except EdgekitError as error:
            return {one.id: error.message for one in candidates}
        errors: dict[str, LayerErrors | str] = {}
        for number, one in enumerate(candidates):
            run.progress.update(number, len(candidates), one.id)
            errors[one.id] = _compared(run, reference, path, one, items)
        return errors


def _reference_file(run: Run, reference: SavedModel, items: Items) -> Path:
    """Return the file whose layers are right: the reference's own, or one that is made of it."""
    if reference.is_tflite:
        return main_file(run, reference)
    return float_file(run, reference.in_float32, items).path / tflite.FILE


def _compared(
    run: Run, reference: SavedModel, path: Path, candidate: Candidate, items: Items
) -> LayerErrors | str:
    if candidate.path is None or candidate.problem:
        return candidate.problem.partition("\n")[0] or NO_FILE
    digest = sha256(path)
    if candidate.sha256 == digest:
        return SAME
    key = run.key(
        "ai-edge-litert",
        reference=digest,
        candidate=candidate.sha256,
        **items.key,
        **({"signature": candidate.signature} if candidate.signature else {}),
    )

    def make(_: Path) -> Mapping[str, Json]:
        return asdict(_errors(run, reference, path, candidate, items))

    try:
        return decode(run.obtain("layers", key, make).facts, LayerErrors)
    except EdgekitError as error:
        run.note(False)
        return error.message


def _errors(
    run: Run, reference: SavedModel, path: Path, candidate: Candidate, items: Items
) -> LayerErrors:
    """Run both files on the first items, and compare what their tensors held."""
    device, folder = run.devices.open(DEVICE), run.folder / "traces"
    model = replace(
        reference,
        path=candidate.path or path,
        digest=candidate.sha256,
        signature=candidate.signature,
    )
    files = (path, main_file(run, model))
    left, right = (LayerSide(file, device, "", items.states) for file in files)
    try:
        parity = layer_parity(
            left, right, items.inputs, items.index_path, items.preprocess, folder=folder
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return layer_errors(replace(parity, left=f"{reference.title} in float32", right=candidate.id))
