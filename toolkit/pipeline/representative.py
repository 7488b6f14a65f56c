"""The items that calibrate, matched to the model's inputs and kept as files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import data
from edgekit.converters import flatbuffer
from edgekit.converters.rescaling import rescales
from edgekit.data import preprocessing
from edgekit.errors import DataError
from edgekit.pipeline import carried, streams
from edgekit.pipeline.datasets import stream_column
from edgekit.pipeline.items import Index
from edgekit.pipeline.run import Run
from edgekit.types import Advice, Preprocess, SavedModel, TensorSpec


def representative(
    run: Run, reference: SavedModel, source: data.Dataset | None, chosen: Index
) -> tuple[Mapping[str, Path], str]:
    """Keep the chosen items, preprocessed, in the store; their files by input, and their digest."""
    if source is None:
        return {}, ""
    preprocess = run.project.data.preprocess.spec()
    arrays = matched(run, source, reference, preprocess)
    key = run.key(
        data=source.digest,
        index=hashlib.sha256(chosen.tobytes()).hexdigest(),
        preprocess=preprocess.arithmetic,
        inputs=[[s.name, list(s.shape), s.dtype] for s in reference.inputs],
        **_states_key(run, reference),
    )
    column = stream_column(run, source) if reference.states else None
    order = streams.ordered(np.arange(source.count), column)
    fed = tuple(spec for spec in reference.all_inputs if spec.name in arrays)

    def make(folder: Path) -> Mapping[str, Any]:
        files = dict(preprocessing.write(arrays, chosen, fed, preprocess, folder))
        if set(files) != {spec.name for spec in reference.all_inputs}:
            files |= carried.write(run, reference, arrays, preprocess, order, chosen, folder)
        return {"files": files}

    artefact = run.obtain("representative", key, make)
    files = {name: artefact.path / file for name, file in artefact.facts["files"].items()}
    return files, artefact.digest


def _states_key(run: Run, reference: SavedModel) -> Mapping[str, Any]:
    """Build the part of a store key that identifies the states, and what computed them."""
    if not reference.states:
        return {}
    pairs, stream = dict(reference.carried()), run.project.evaluate.stream
    return {"states": pairs, "stream": stream, "model": reference.digest}


def matched(
    run: Run, dataset: data.Dataset, reference: SavedModel, preprocess: Preprocess
) -> Mapping[str, Path]:
    """Match a dataset's arrays with the model's inputs: raw files by input."""
    fed = states_in_data(run, reference, dataset)
    dataset = carried.without(dataset, reference, [spec.name for spec in fed])
    try:
        match = data.match(dataset, (*reference.inputs, *fed), preprocess)
    except DataError as error:
        raise carried.hinted(error, reference, dataset.arrays) from error
    for notice in match.notices:
        run.advise(Advice("EK-NOTE-002", "info", notice))
    if reference.is_tflite and rescales(flatbuffer.read(reference.path)):
        run.withdraw("EK-NOTE-002", data.UNSCALED)
    return match.inputs


def states_in_data(
    run: Run, reference: SavedModel, dataset: data.Dataset | None
) -> tuple[TensorSpec, ...]:
    """List the states that the data itself feeds: where nothing carries them on."""
    arrays = {**dataset.arrays, **(dataset.beside or {})} if dataset else {}
    if run.project.evaluate.stream:
        return ()
    return tuple(state.input for state in reference.states if state.input.name in arrays)
