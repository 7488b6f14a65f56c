"""Pre- and postprocessing of a bundle's model, written in five languages from one spec.

A module per language has ``files(spec, name)``: a file of the model's constants, beside the fixed
files of ``sample_apps/processing/<language>/`` that use them.
"""

from edgekit.targets.bundles.processing.spec import (
    InputSpec,
    OutputSpec,
    PictureSpec,
    Spec,
    spec_of,
)

__all__ = ["InputSpec", "OutputSpec", "PictureSpec", "Spec", "spec_of"]
