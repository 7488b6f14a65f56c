"""The probe model, for what works with files: it lies with the runners, which must all run it."""

from edgekit.targets.runners.probe import probe_model

__all__ = ["probe_model"]
