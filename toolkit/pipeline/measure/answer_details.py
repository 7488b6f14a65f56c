"""What pages and charts of models that answered need beyond what their command prints as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgekit.evaluation.latency import Timings
from edgekit.evaluation.layers import LayerParity
from edgekit.pipeline.details import SAVED_MODEL, UNTIMED, with_answers, with_data
from edgekit.pipeline.details.answers import OF_ANSWERS, of_answers
from edgekit.pipeline.details.files import with_file
from edgekit.pipeline.details.layers import layer_errors
from edgekit.pipeline.details.parts import Parts
from edgekit.pipeline.items import Items
from edgekit.pipeline.measure.model_on_device import ModelOnDevice
from edgekit.pipeline.run import Run
from edgekit.pipeline.timed_launches import Launches, samples_of
from edgekit.types import Contrast, SavedModel
from edgekit.types.details import LAYERS_UNASKED, CandidateDetails, Command, Details


def details_of(
    run: Run,
    kind: Command,
    reference: SavedModel,
    models: Sequence[ModelOnDevice],
    items: Items,
    contrasts: Sequence[Contrast] = (),
    timings: Timings | None = None,
) -> Details:
    """Gather the details of every model that was evaluated or compared; it never fails."""
    guard, command = Parts(), run.plan.options.command

    def gathered() -> Details:
        launches = samples_of(timings) if timings else {}
        compared = {one.id: one.layers for one in contrasts}
        found = {model.measured.id: _of_model(model, items, launches, compared) for model in models}
        return with_data(run, Details(run.id, kind, command, candidates=found), reference, items)

    made = guard.make("details", gathered, None)
    return made or Details(run.id, kind, command, absent=guard.absent)


def _of_model(
    model: ModelOnDevice, items: Items, launches: Launches, compared: Mapping[str, object]
) -> CandidateDetails:
    name, subject, parts = model.measured.id, model.subject, Parts()
    details = CandidateDetails(launches=launches.get(name, ()))
    if not details.launches:
        parts.absent["launches"] = model.measured.problem or UNTIMED
    if subject is not None and subject.model.is_tflite:
        details = with_file(details, subject.model.path, parts)
    else:
        reason = SAVED_MODEL if subject is not None else model.measured.problem
        parts.absent |= dict.fromkeys(("sizes", "operators"), reason)
    answers = model.answers
    if answers is not None:
        found = parts.make("answers", lambda: of_answers(items, answers), None)
        details = with_answers(details, found, parts)
    else:
        parts.absent |= dict.fromkeys(OF_ANSWERS, model.measured.problem or "nothing was scored")
    layers = compared.get(name)
    if isinstance(layers, LayerParity):
        details = replace(details, layers=layer_errors(layers))
    elif name in compared:
        parts.absent["layers"] = LAYERS_UNASKED
    return replace(details, absent=parts.absent)
