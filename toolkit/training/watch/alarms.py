"""What is wrong with a training, said in words: each rule takes figures and returns advice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from edgekit.training.watch.steps import Look
from edgekit.types import Advice

# Healthy networks of dozens of layers stay within a factor of a few thousand.
VANISHING = 1e-6
# A layer's gradient beside its weights, which one step of plain descent would multiply.
EXPLODING = 1e3
# Positive inputs alone silence half of a layer, or more, from the first step on.
DEAD_SHARE = 0.8
# So many looks in a row must see it: one is chance.
IN_A_ROW = 3
OVERFIT_EPOCHS, OVERFIT_RISE, OVERFIT_FALL = 3, 1.2, 0.9
STARVED_SHARE, STARVED_STEPS, STARVED_SECONDS = 0.5, 50, 5.0


class Alarms:
    """The alarms of one training: each is said once, at once, and kept for the report."""

    def __init__(self, warn: Callable[[str], None] | None = None) -> None:
        self._warn = warn
        self._found: dict[tuple[str, str], Advice] = {}

    def add(self, subject: str, advice: Advice, again: bool = False) -> None:
        """Say and keep an alarm about a subject; if there is one already, keep that.

        What is said ``again``, with a count that has grown, is kept in its place. It is said at
        once when it gets more severe.
        """
        before = self._found.get((advice.code, subject))
        if before is not None and not again:
            return
        self._found[advice.code, subject] = advice
        if self._warn is not None and (before is None or before.severity != advice.severity):
            self._warn(f"{advice.severity} {advice.code}: {advice.message}\n  {advice.fix}")

    @property
    def facts(self) -> list[dict[str, str]]:
        """The alarms, as JSON carries them."""
        return [asdict(advice) for advice in self._found.values()]


class Streaks:
    """Counts how often in a row something was seen, by name."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def lasting(self, seen: Mapping[str, str]) -> dict[str, str]:
        """Return what was seen now and in the looks before: its name, and its words."""
        self._counts = {name: self._counts.get(name, 0) + 1 for name in seen}
        return {name: seen[name] for name, count in self._counts.items() if count >= IN_A_ROW}


def vanishing(look: Look) -> dict[str, str]:
    """Name layers whose gradients are next to nothing beside those of the others, with words."""
    norms = {name: float(np.linalg.norm(each)) for name, each in look.gradients.items()}
    largest = max(norms, key=lambda name: norms[name], default="")
    if not largest or not math.isfinite(norms[largest]) or not norms[largest]:
        return {}
    return {
        name: f"{norms[name]:.1g}, and those of {largest} {norms[largest]:.1g}"
        for name, gradient in look.gradients.items()
        if gradient.ndim > 1 and norms[name] < VANISHING * norms[largest]
    }


def vanished(step: int, seen: Mapping[str, str]) -> Advice:
    """Say which layers do not learn."""
    what = "it does not learn" if len(seen) == 1 else "these layers do not learn"
    fix = (
        "use relu or gelu in place of sigmoid or tanh, batch or layer normalization, connections"
        " past blocks of layers, or fewer layers"
    )
    return Advice("EK-NOTE-201", "warning", f"{_gradients(step, seen, 'vanish')}; {what}", fix)


def exploding(look: Look) -> dict[str, str]:
    """Name layers whose gradients are far larger than their weights, with words."""
    words = {}
    for name, gradient in look.gradients.items():
        if gradient.ndim < 2:
            continue
        norm, weight = float(np.linalg.norm(gradient)), float(np.linalg.norm(look.weights[name]))
        if not math.isfinite(norm) or norm > EXPLODING * max(weight, 1.0):
            words[name] = f"{norm:.1g}, that of its weights {weight:.1g}"
    return words


def exploded(step: int, seen: Mapping[str, str]) -> Advice:
    """Say which layers' gradients are too large to learn by."""
    fix = (
        "scale inputs and labels to about 1, take a smaller learning rate or smaller initial"
        " weights, or clip: keras.optimizers.Adam(1e-3, clipnorm=1.0)"
    )
    return Advice("EK-NOTE-202", "warning", _gradients(step, seen, "explode"), fix)


def _gradients(step: int, seen: Mapping[str, str], verb: str) -> str:
    first = next(iter(seen))
    norm = f"at step {step:,} the norm of {first}'s is {seen[first]}"
    return f"the gradients of {_listed(seen)} {verb}: {norm}"


def dying(look: Look) -> dict[str, str]:
    """Name layers most of whose units were zero for every item, with words."""
    return {
        layer: f"{dead:,} of {look.units[layer]:,} units of {layer}"
        for layer, dead in look.dead.items()
        if dead > DEAD_SHARE * look.units[layer]
    }


def died(step: int, items: int, seen: Mapping[str, str]) -> Advice:
    """Say which layers have units that answer nothing."""
    message = (
        f"at step {step:,}, {', '.join(list(seen.values())[:4])} are dead: they are 0 for each of"
        f" {items:,} items, and learn nothing any more"
    )
    fix = (
        "take a smaller learning rate, leaky_relu or gelu in place of relu, or he_normal as the"
        " initial weights; or fewer units, if these are not needed"
    )
    return Advice("EK-NOTE-203", "warning", message, fix)


def overfitting(
    losses: Sequence[float], validation: Sequence[float], restored: bool = False
) -> Advice | None:
    """Say that validation gets worse while training gets better, from the losses by epoch.

    It is not a warning where the best epoch's weights are ``restored`` in the end.
    """
    if len(losses) != len(validation) or len(losses) <= OVERFIT_EPOCHS:
        return None
    best = min(range(len(validation)), key=lambda at: validation[at])
    recent = validation[-OVERFIT_EPOCHS:]
    late = len(validation) - 1 - best >= OVERFIT_EPOCHS
    worse = min(recent) > OVERFIT_RISE * validation[best]
    if not (late and worse and losses[-1] < OVERFIT_FALL * losses[best]):
        return None
    message = (
        f"the model overfits: since epoch {best + 1} the loss on training items fell from"
        f" {losses[best]:.3g} to {losses[-1]:.3g}, and on validation items it rose from"
        f" {validation[best]:.3g} to {validation[-1]:.3g}"
    )
    if restored:
        kept = f"{message}; the weights of the best epoch are kept"
        return Advice("EK-NOTE-205", "info", kept, "fewer epochs would do, or more items")
    fix = (
        f"train for {best + 1} epochs or stop early, take more items or augment them, use dropout"
        " or weight decay, or a smaller model"
    )
    return Advice("EK-NOTE-205", "warning", message, fix)


def starving(waited: float, elapsed: float, steps: int) -> Advice | None:
    """Say that training waits for its data, from seconds waited of those elapsed."""
    share = waited / max(elapsed, 1e-9)
    if steps < STARVED_STEPS or waited < STARVED_SECONDS or share < STARVED_SHARE:
        return None
    message = (
        f"training waits for its data: {waited:.0f} of {elapsed:.0f} s in {steps:,} steps"
        f" ({share:.0%})"
    )
    fix = (
        "make items cheaper: smaller files, scaled beforehand, or kept as .npz; edgekit data"
        " describe shows where the pipeline waits"
    )
    return Advice("EK-NOTE-207", "warning", message, fix)


def unwatched(error: Exception) -> Advice:
    """Say that layers, gradients and weights are not looked at, and why."""
    # TensorFlow puts before it through which code it came.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = (lines or [type(error).__name__])[-1][:300]
    message = f"gradients, weights and units of this training are not watched: {reason}"
    return Advice("EK-NOTE-209", "info", message, "the loss, its figures and the input are")


def _listed(names: Mapping[str, str]) -> str:
    shown = list(names)[:4]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(shown) + more
