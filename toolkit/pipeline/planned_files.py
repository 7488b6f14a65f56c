"""Which files a run makes: each precision, once for every way in which its targets change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from edgekit.converters.precisions import PRECISIONS, RECIPE, profile_of
from edgekit.converters.quantization import edge_quantizer
from edgekit.converters.quantization.recipe import CALIBRATED, Rule, check_rules
from edgekit.converters.quantization.tensorflow_recipe import by_tensorflow
from edgekit.errors import DeviceError, ProjectError
from edgekit.project import Project
from edgekit.targets import catalog
from edgekit.types import Conversion


@dataclass(frozen=True)
class PlannedFile:
    """One file to make: its precision, and the profile that changes it, if one does."""

    precision: str
    profile: str = ""
    conversion: Conversion = field(default_factory=Conversion)

    @property
    def id(self) -> str:
        return f"{self.precision}@{self.profile}" if self.profile else self.precision


def planned_files(
    precisions: Iterable[str], targets: Iterable[str], project: Project
) -> tuple[PlannedFile, ...]:
    """Plan the files for the targets: one that several of them take alike is made once.

    One that is taken as it is is the same for all.
    """
    if project.convert.as_is:
        return tuple(PlannedFile(precision) for precision in precisions)
    found = {one.id: one for one in _each(tuple(precisions), tuple(targets), project)}
    return tuple(found.values())


def _each(
    precisions: tuple[str, ...], targets: tuple[str, ...], project: Project
) -> Iterator[PlannedFile]:
    for precision in precisions:
        for target in targets:
            conversion = catalog.load(target).conversion
            profile = profile_of(precision, conversion)
            settings = conversion if profile else Conversion()
            yield PlannedFile(precision, profile, _allowed(settings, project))


def _allowed(conversion: Conversion, project: Project) -> Conversion:
    """Add the operators that the project allows to a target's settings."""
    table = project.convert
    return replace(
        conversion, refuses={}, flex=table.flex, custom_operators=tuple(table.custom_operators)
    )


def rules_of(precision: str, project: Project) -> tuple[Rule, ...]:
    """Return the recipe that a precision is made by; empty for TensorFlow's own, and as it is."""
    if project.convert.as_is:
        return ()
    if precision == RECIPE:
        return tuple(Rule(r.precision, r.operator, r.name) for r in project.convert.mixed)
    return PRECISIONS[precision].rules


def calibrates(precision: str, project: Project) -> bool:
    """Tell whether a precision takes representative items: a recipe does where one of its rules
    does.

    A file that is taken as it is takes none.
    """
    if project.convert.as_is:
        return False
    if precision == RECIPE:
        return any(rule.precision in CALIBRATED for rule in rules_of(precision, project))
    return PRECISIONS[precision].calibrated


def check_recipes(precisions: Iterable[str], project: Project) -> None:
    """Raise :class:`ProjectError` for a recipe that is missing or wrong, and DeviceError where
    what it needs is not installed."""
    check_rules(rules_of(RECIPE, project))
    if project.convert.as_is:
        return
    for precision in precisions:
        if precision == RECIPE and not project.convert.mixed:
            message = "the precision mixed needs a recipe: [[convert.mixed]] in edgekit.toml"
            hint = 'precision = "int8" for all, then for example operator = "SOFTMAX" in float32'
            raise ProjectError("EK-PROJECT-014", message, hint)
        rules = rules_of(precision, project)
        if rules and not by_tensorflow(rules) and not edge_quantizer.installed():
            raise DeviceError("EK-CONVERT-010", f"{precision} is {edge_quantizer.NOT_INSTALLED}")
