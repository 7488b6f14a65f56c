"""What pages and charts of a run need beyond its report, of what the run has computed already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekit.evaluation.latency import REFERENCE
from edgekit.evaluation.metrics.metric import Array
from edgekit.evaluation.parity import open_outputs
from edgekit.pipeline.answers import answers_of
from edgekit.pipeline.details.answers import OF_ANSWERS, AnswerDetails, kept_details
from edgekit.pipeline.details.data import (
    CALIBRATING,
    JUDGED,
    TRAINED,
    evaluated,
    item_pictures,
    representative,
    trained,
)
from edgekit.pipeline.details.files import with_file
from edgekit.pipeline.details.parts import Parts, Pictures
from edgekit.pipeline.items import Items
from edgekit.pipeline.judge import ReferenceAnswers, answered
from edgekit.pipeline.run import Run
from edgekit.pipeline.scores import taken
from edgekit.types import Candidate, SavedModel
from edgekit.types.details import LAYERS_UNASKED, CandidateDetails, Command, Details, LayerErrors

# Bytes of all pictures in base64: a page that holds them stays small enough to send.
ROOM = 700_000
UNCOMPUTED = "nothing was evaluated"
UNTIMED = "nothing was timed"
SAVED_MODEL = "it is not a .tflite file"
NO_PICTURES: Mapping[str, str] = {}


def details_of(
    run: Run,
    kind: Command,
    reference: SavedModel,
    candidates: Sequence[Candidate],
    items: Items,
    layers: Mapping[str, LayerErrors | str] | None = None,
) -> Details:
    """Gather the details of a run that converts: no model runs for it, and it never fails.

    ``layers`` are the errors of each candidate by id, or why there are none, where asked for.
    """
    guard = Parts()

    def gathered() -> Details:
        return _with_layers(_gathered(run, kind, reference, candidates, items), layers or {})

    found = guard.make("details", gathered, None)
    return found or Details(run.id, kind, run.plan.options.command, absent=guard.absent)


def _gathered(
    run: Run,
    kind: Command,
    reference: SavedModel,
    candidates: Sequence[Candidate],
    items: Items,
) -> Details:
    parts, expected = Parts(), None
    if run.plan.options.evaluate:
        expected = parts.make("answers", lambda: answered(run, reference, items), None)
    details = Details(
        run=run.id,
        kind=kind,
        command=run.plan.options.command,
        reference=_of_reference(run, reference, expected, items),
        candidates={one.id: _of_candidate(run, one, expected, items) for one in candidates},
        training=run.training,
        absent=parts.absent,
    )
    return with_data(run, details, reference, items)


def _with_layers(details: Details, layers: Mapping[str, LayerErrors | str]) -> Details:
    def of(name: str, candidate: CandidateDetails) -> CandidateDetails:
        errors = layers.get(name, LAYERS_UNASKED)
        if isinstance(errors, str):
            return replace(candidate, absent={**candidate.absent, "layers": errors})
        return replace(candidate, layers=errors)

    found = {name: of(name, one) for name, one in details.candidates.items()}
    return replace(details, candidates=found)


def _of_reference(
    run: Run, reference: SavedModel, expected: ReferenceAnswers | None, items: Items
) -> CandidateDetails:
    parts = Parts()
    details = with_launches(run, REFERENCE, parts)
    if reference.is_tflite:
        details = with_file(details, reference.path, parts)
    else:
        parts.absent |= dict.fromkeys(("sizes", "operators"), SAVED_MODEL)
    if expected is not None:
        kept = expected.artefact

        def found() -> AnswerDetails:
            return kept_details(run, items, kept, lambda: taken(run, items, expected.outputs))

        details = with_answers(details, parts.make("answers", found, None), parts)
    return replace(details, absent=parts.absent)


def _of_candidate(
    run: Run, candidate: Candidate, expected: ReferenceAnswers | None, items: Items
) -> CandidateDetails:
    parts = Parts()
    if candidate.path is None:
        names = ("launches", *OF_ANSWERS, "sizes", "operators")
        reason = candidate.problem.partition("\n")[0] or "there is no file"
        return CandidateDetails(absent=dict.fromkeys(names, reason))
    details = with_file(with_launches(run, candidate.id, parts), candidate.path, parts)
    if expected is not None and candidate.evaluation.metrics:

        def found() -> AnswerDetails:
            kept = answers_of(run, candidate, items)

            def load() -> Array:
                outputs = open_outputs(kept.path / "outputs", tuple(expected.outputs))
                return taken(run, items, outputs)

            return kept_details(run, items, kept, load)

        details = with_answers(details, parts.make("answers", found, None), parts)
    else:
        reason = candidate.problem.partition("\n")[0] or UNCOMPUTED
        parts.absent |= dict.fromkeys(OF_ANSWERS, reason)
    return replace(details, absent=parts.absent)


def with_launches(run: Run, name: str, parts: Parts) -> CandidateDetails:
    """Begin the details of a model with the times that the run has taken of it."""
    launches = run.launches.get("", {}).get(name, ())
    if not launches:
        parts.absent["launches"] = UNTIMED
    devices = {device: of[name] for device, of in run.launches.items() if device and name in of}
    return CandidateDetails(launches=launches, device_launches=devices)


def with_answers(
    details: CandidateDetails, answers: AnswerDetails | None, parts: Parts
) -> CandidateDetails:
    """Add what answers tell."""
    if answers is None:
        return details
    parts.absent |= answers.absent
    return replace(
        details,
        confusion=answers.confusion,
        reliability=answers.reliability,
        worst_items=answers.worst_items,
        right=answers.right,
    )


def with_data(run: Run, details: Details, reference: SavedModel, items: Items) -> Details:
    """Add the data, and pictures of the items that were answered worst."""
    parts, pictures = Parts(dict(details.absent)), Pictures(ROOM)
    details = _with_pictures(run, details, items, parts, pictures)
    return replace(
        details,
        representative=parts.make(
            CALIBRATING, lambda: representative(run, items, parts, pictures), None
        ),
        evaluated=parts.make(
            JUDGED, lambda: evaluated(run, reference, items, parts, pictures), None
        ),
        trained=parts.make(TRAINED, lambda: trained(run, reference, items, parts, pictures), None),
        pictures=pictures.drawn,
        absent=parts.absent,
    )


def _with_pictures(
    run: Run, details: Details, items: Items, parts: Parts, pictures: Pictures
) -> Details:
    """Draw every item that some model answers badly once, and name it where it is listed."""
    every = [details.reference, *details.candidates.values()]
    numbers = sorted({item.number for one in every for item in one.worst_items})
    index = np.asarray(numbers, np.int64)
    drawn = parts.make("pictures", lambda: item_pictures(run, items, index), NO_PICTURES)
    held = frozenset(pictures.add(drawn))

    def shown(candidate: CandidateDetails) -> CandidateDetails:
        keys = [f"{JUDGED}-{item.number}" for item in candidate.worst_items]
        return replace(
            candidate,
            worst_items=tuple(
                replace(item, picture=key if key in held else "")
                for item, key in zip(candidate.worst_items, keys, strict=True)
            ),
        )

    return replace(
        details,
        reference=shown(details.reference),
        candidates={name: shown(one) for name, one in details.candidates.items()},
    )
