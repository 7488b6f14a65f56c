"""What flows between the stages: frozen dataclasses, and the protocol that reports progress."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.types.benched import Benched as Benched
    from edgekit.types.benched import BenchMachine as BenchMachine
    from edgekit.types.benched import BenchMemory as BenchMemory
    from edgekit.types.benched import BenchReport as BenchReport
    from edgekit.types.benched import Conditions as Conditions
    from edgekit.types.benched import InputSource as InputSource
    from edgekit.types.benched import MLPerfTiny as MLPerfTiny
    from edgekit.types.benched import OperatorTime as OperatorTime
    from edgekit.types.benched import Phases as Phases
    from edgekit.types.benched import Profile as Profile
    from edgekit.types.benched import Second as Second
    from edgekit.types.benched import SelfTest as SelfTest
    from edgekit.types.benched import Sustained as Sustained
    from edgekit.types.candidates import Candidate as Candidate
    from edgekit.types.candidates import Evaluation as Evaluation
    from edgekit.types.candidates import Latency as Latency
    from edgekit.types.candidates import Memory as Memory
    from edgekit.types.candidates import Operator as Operator
    from edgekit.types.candidates import PairedCounts as PairedCounts
    from edgekit.types.candidates import Part as Part
    from edgekit.types.candidates import Recovery as Recovery
    from edgekit.types.candidates import RecoveryTrial as RecoveryTrial
    from edgekit.types.candidates import RuntimeNeed as RuntimeNeed
    from edgekit.types.candidates import RuntimeResult as RuntimeResult
    from edgekit.types.conversion import Conversion as Conversion
    from edgekit.types.data_types import DataTypes as DataTypes
    from edgekit.types.data_types import Feature as Feature
    from edgekit.types.measured import Compared as Compared
    from edgekit.types.measured import Contrast as Contrast
    from edgekit.types.measured import Evaluated as Evaluated
    from edgekit.types.measured import Measured as Measured
    from edgekit.types.models import CarriedState as CarriedState
    from edgekit.types.models import Compression as Compression
    from edgekit.types.models import LayerCompression as LayerCompression
    from edgekit.types.models import Model as Model
    from edgekit.types.models import Proof as Proof
    from edgekit.types.models import SavedModel as SavedModel
    from edgekit.types.models import SchemeResult as SchemeResult
    from edgekit.types.outcome import Advice as Advice
    from edgekit.types.outcome import Bound as Bound
    from edgekit.types.outcome import Bundle as Bundle
    from edgekit.types.outcome import CheckedRuns as CheckedRuns
    from edgekit.types.outcome import CheckResult as CheckResult
    from edgekit.types.outcome import Compiled as Compiled
    from edgekit.types.outcome import NpuEstimate as NpuEstimate
    from edgekit.types.outcome import OnDevice as OnDevice
    from edgekit.types.outcome import Report as Report
    from edgekit.types.outcome import StageRecord as StageRecord
    from edgekit.types.outcome import TargetResult as TargetResult
    from edgekit.types.outcome import Verdict as Verdict
    from edgekit.types.outcome import Waiver as Waiver
    from edgekit.types.processing import BoxesSpec as BoxesSpec
    from edgekit.types.processing import Signal as Signal
    from edgekit.types.progress import Progress as Progress
    from edgekit.types.progress import Silent as Silent
    from edgekit.types.progress import StagedProgress as StagedProgress
    from edgekit.types.quantities import Direction as Direction
    from edgekit.types.quantities import How as How
    from edgekit.types.quantities import Json as Json
    from edgekit.types.quantities import Measurement as Measurement
    from edgekit.types.quantities import PerChannel as PerChannel
    from edgekit.types.quantities import Preprocess as Preprocess
    from edgekit.types.quantities import Status as Status
    from edgekit.types.quantities import TensorSpec as TensorSpec
    from edgekit.types.request import ExpectedOutput as ExpectedOutput
    from edgekit.types.request import ModelResult as ModelResult
    from edgekit.types.request import Request as Request
    from edgekit.types.request import RunnerModel as RunnerModel
    from edgekit.types.request import RunnerResult as RunnerResult
    from edgekit.types.sweep import Sweep as Sweep
    from edgekit.types.sweep import Trial as Trial

# Imported when first used: to list the targets takes none of what a report holds.
_MODULES = {
    "Advice": "outcome",
    "BenchMachine": "benched",
    "BenchMemory": "benched",
    "BenchReport": "benched",
    "Benched": "benched",
    "Bound": "outcome",
    "BoxesSpec": "processing",
    "Bundle": "outcome",
    "Candidate": "candidates",
    "CarriedState": "models",
    "CheckResult": "outcome",
    "CheckedRuns": "outcome",
    "Compared": "measured",
    "Compiled": "outcome",
    "Compression": "models",
    "Conditions": "benched",
    "Contrast": "measured",
    "Conversion": "conversion",
    "DataTypes": "data_types",
    "Direction": "quantities",
    "Evaluated": "measured",
    "Evaluation": "candidates",
    "ExpectedOutput": "request",
    "Feature": "data_types",
    "How": "quantities",
    "InputSource": "benched",
    "Json": "quantities",
    "Latency": "candidates",
    "LayerCompression": "models",
    "MLPerfTiny": "benched",
    "Measured": "measured",
    "Measurement": "quantities",
    "Memory": "candidates",
    "Model": "models",
    "ModelResult": "request",
    "NpuEstimate": "outcome",
    "OnDevice": "outcome",
    "Operator": "candidates",
    "OperatorTime": "benched",
    "PairedCounts": "candidates",
    "Part": "candidates",
    "PerChannel": "quantities",
    "Phases": "benched",
    "Preprocess": "quantities",
    "Profile": "benched",
    "Progress": "progress",
    "Proof": "models",
    "Recovery": "candidates",
    "RecoveryTrial": "candidates",
    "Report": "outcome",
    "Request": "request",
    "RunnerModel": "request",
    "RunnerResult": "request",
    "RuntimeNeed": "candidates",
    "RuntimeResult": "candidates",
    "SavedModel": "models",
    "SchemeResult": "models",
    "Second": "benched",
    "SelfTest": "benched",
    "Signal": "processing",
    "Silent": "progress",
    "StageRecord": "outcome",
    "StagedProgress": "progress",
    "Status": "quantities",
    "Sustained": "benched",
    "TargetResult": "outcome",
    "Sweep": "sweep",
    "TensorSpec": "quantities",
    "Trial": "sweep",
    "Verdict": "outcome",
    "Waiver": "outcome",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
