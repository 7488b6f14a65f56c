"""States that a model takes as an input and gives back as an output: which, and what they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data import Dataset
from edgekit.errors import ArraysMismatch, DataError
from edgekit.evaluation.latency import REFERENCE
from edgekit.evaluation.parity import open_outputs
from edgekit.models import states
from edgekit.pipeline.run import Run
from edgekit.pipeline.streams import Streams
from edgekit.types import Advice, Preprocess, Request, RunnerModel, SavedModel

Index = npt.NDArray[np.int64]


def with_states(run: Run, model: SavedModel) -> SavedModel:
    """Set a model's states apart from its inputs and outputs, as named or as they are called.

    Raises :class:`ProjectError` for a name that the model has not, and a pair that cannot be one.
    """
    pairs = run.project.evaluate.state
    if pairs is None:
        pairings = states.detected(model.inputs, model.outputs)
    else:
        sides = (("input", pairs.keys(), model.inputs), ("output", pairs.values(), model.outputs))
        for end, names, specs in sides:
            known = [spec.name for spec in specs]
            for name in names:
                if name not in known:
                    raise run.project.unknown(end, name, known)
        pairings = states.stated(model.inputs, model.outputs, pairs)
    if not pairings:
        return model
    listed = "; ".join(f"{one.input.name!r} <- {one.output.name!r} ({one.why})" for one in pairings)
    message = (
        f"state inputs, which start at zero and are fed with the model's previous outputs: {listed}"
    )
    fix = "--state IN=OUT ([evaluate] state) names others, --state none takes them for plain inputs"
    run.advise(Advice("EK-NOTE-076", "info", message, fix))
    apart = {one.input.name for one in pairings}, {one.output.name for one in pairings}
    return replace(
        model,
        inputs=tuple(spec for spec in model.inputs if spec.name not in apart[0]),
        outputs=tuple(spec for spec in model.outputs if spec.name not in apart[1]),
        states=pairings,
    )


def without(dataset: Dataset, model: SavedModel, kept: Collection[str] = ()) -> Dataset:
    """Remove arrays that are named like the model's states, except those to keep."""
    apart = {state.input.name for state in model.states} - set(kept)
    arrays = {name: path for name, path in dataset.arrays.items() if name not in apart}
    return replace(dataset, arrays=arrays)


def hinted(error: DataError, model: SavedModel, arrays: Collection[str]) -> DataError:
    """Add to an error of the data which inputs without an array may be states of the model."""
    pairs = [
        (spec.name, states.likely(spec, model.outputs))
        for spec in model.inputs
        if spec.name not in arrays and len(model.inputs) > 1
    ]
    options = " ".join(f"--state {name}={output}" for name, output in pairs if output)
    if not isinstance(error, ArraysMismatch) or not options:
        return error
    hint = f"{error.hint}\nis it a state, fed with the model's previous output? {options}"
    return ArraysMismatch(error.code, error.message, hint)


def write(
    run: Run,
    reference: SavedModel,
    arrays: Mapping[str, Path],
    preprocess: Preprocess,
    streams: Streams,
    chosen: Index,
    folder: Path,
) -> Mapping[str, str]:
    """Write the states that the reference has at the chosen items; file names by input.

    It runs over the streams that the items are of: zeros alone would tell a quantizer that a state
    has no range. Raises :class:`RunnerError`.
    """
    order, starts = streams.order, streams.starts
    positions = np.argsort(order)[chosen]
    np.save(folder / "order.npy", order[: int(positions.max()) + 1])
    outputs = folder / "states"
    request = Request(
        mode="evaluate",
        models=(RunnerModel(REFERENCE, reference.path, outputs),),
        inputs=arrays,
        preprocess=preprocess,
        runtime=reference.runtime,
        index=folder / "order.npy",
        signature=reference.signature,
        threads=0 if reference.runtime == "tensorflow" else 1,
        reset_state=reference.stateful,
        streams=tuple(at for at in starts if at <= int(positions.max())),
        states=reference.carried(arrays) or None,
    )
    run.device.run(request)
    files = {}
    begins = np.isin(positions, starts)
    for number, state in enumerate(reference.states):
        if state.input.name in arrays:
            continue
        recorded = open_outputs(outputs, (state.output.name,))[state.output.name]
        values: npt.NDArray[Any] = np.asarray(recorded[np.maximum(positions - 1, 0)])
        values[begins] = 0
        files[state.input.name] = f"state-{number:03d}.npy"
        np.save(folder / files[state.input.name], values.astype(state.input.dtype))
    return files
