"""The Python API: the commands as functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.api.files import check_files as check_files
    from edgekit.api.history import add_to_history as add_to_history
    from edgekit.api.history import trends as trends
    from edgekit.api.judgement import CheckOptions as CheckOptions
    from edgekit.api.judgement import latest as latest
    from edgekit.api.lock import Tightened as Tightened
    from edgekit.api.lock import read_lock as read_lock
    from edgekit.api.lock import update_lock as update_lock
    from edgekit.api.lock import update_locks as update_locks
    from edgekit.api.logs import container_files as container_files
    from edgekit.api.logs import prune_logs as prune_logs
    from edgekit.api.logs import serve_logs as serve_logs
    from edgekit.api.logs import training_logs as training_logs
    from edgekit.api.logs import training_manifests as training_manifests
    from edgekit.api.machine import create_devices as create_devices
    from edgekit.api.machine import devices as devices
    from edgekit.api.machine import doctor as doctor
    from edgekit.api.machine import fits as fits
    from edgekit.api.machine import inspect as inspect
    from edgekit.api.machine import new_key as new_key
    from edgekit.api.machine import remove_devices as remove_devices
    from edgekit.api.machine import set_up_devices as set_up_devices
    from edgekit.api.monitoring import Monitored as Monitored
    from edgekit.api.monitoring import MonitorLimits as MonitorLimits
    from edgekit.api.monitoring import monitor as monitor
    from edgekit.api.pages import find_run as find_run
    from edgekit.api.pages import find_unfinished as find_unfinished
    from edgekit.api.pages import serve_run as serve_run
    from edgekit.api.pages import write_comparison as write_comparison
    from edgekit.api.pages import write_page as write_page
    from edgekit.api.registry import Promoted as Promoted
    from edgekit.api.registry import Registered as Registered
    from edgekit.api.registry import open_registry as open_registry
    from edgekit.api.registry import promote as promote
    from edgekit.api.registry import register as register
    from edgekit.api.registry import roll_back as roll_back
    from edgekit.api.registry import version_changes as version_changes
    from edgekit.api.runs import BenchJob as BenchJob
    from edgekit.api.runs import BenchOptions as BenchOptions
    from edgekit.api.runs import BenchReport as BenchReport
    from edgekit.api.runs import BundleOptions as BundleOptions
    from edgekit.api.runs import Compared as Compared
    from edgekit.api.runs import DescribedData as DescribedData
    from edgekit.api.runs import DescribeOptions as DescribeOptions
    from edgekit.api.runs import Evaluated as Evaluated
    from edgekit.api.runs import Linted as Linted
    from edgekit.api.runs import MadeBundle as MadeBundle
    from edgekit.api.runs import MadeBundles as MadeBundles
    from edgekit.api.runs import MeasureOptions as MeasureOptions
    from edgekit.api.runs import ModelFiles as ModelFiles
    from edgekit.api.runs import Options as Options
    from edgekit.api.runs import Report as Report
    from edgekit.api.runs import SplitOptions as SplitOptions
    from edgekit.api.runs import UnmadeBundle as UnmadeBundle
    from edgekit.api.runs import apply_delta as apply_delta
    from edgekit.api.runs import bench as bench
    from edgekit.api.runs import bundle as bundle
    from edgekit.api.runs import compare as compare
    from edgekit.api.runs import compress as compress
    from edgekit.api.runs import convert as convert
    from edgekit.api.runs import describe_data as describe_data
    from edgekit.api.runs import evaluate as evaluate
    from edgekit.api.runs import export as export
    from edgekit.api.runs import init as init
    from edgekit.api.runs import init_from as init_from
    from edgekit.api.runs import lint_data as lint_data
    from edgekit.api.runs import metric_names as metric_names
    from edgekit.api.runs import split_data as split_data
    from edgekit.api.runs import sweep as sweep
    from edgekit.api.runs import swept as swept
    from edgekit.api.runs import train as train
    from edgekit.api.runs import verify as verify
    from edgekit.api.serving import Bounds as Bounds
    from edgekit.api.serving import ServeOptions as ServeOptions
    from edgekit.api.serving import serve as serve
    from edgekit.api.tracking import sync as sync
    from edgekit.api.verdict import FinishedRun as FinishedRun
    from edgekit.api.verdict import check as check
    from edgekit.api.verdict import check_all as check_all
    from edgekit.api.verdict import runs_at as runs_at
    from edgekit.api.verdict import runs_of as runs_of
    from edgekit.api.verdict import together as together
    from edgekit.api.verdict import told_apart as told_apart

# Imported when first used: to look at a file or a device takes nothing of a run.
_ELSEWHERE = {
    "Bounds": "serving",
    "CheckOptions": "judgement",
    "FinishedRun": "verdict",
    "MonitorLimits": "monitoring",
    "Monitored": "monitoring",
    "Promoted": "registry",
    "Registered": "registry",
    "ServeOptions": "serving",
    "Tightened": "lock",
    "add_to_history": "history",
    "check": "verdict",
    "check_all": "verdict",
    "check_files": "files",
    "container_files": "logs",
    "create_devices": "machine",
    "devices": "machine",
    "doctor": "machine",
    "find_run": "pages",
    "find_unfinished": "pages",
    "fits": "machine",
    "inspect": "machine",
    "latest": "judgement",
    "new_key": "machine",
    "monitor": "monitoring",
    "open_registry": "registry",
    "promote": "registry",
    "prune_logs": "logs",
    "read_lock": "lock",
    "register": "registry",
    "remove_devices": "machine",
    "roll_back": "registry",
    "runs_at": "verdict",
    "runs_of": "verdict",
    "serve": "serving",
    "serve_logs": "logs",
    "serve_run": "pages",
    "set_up_devices": "machine",
    "sync": "tracking",
    "together": "verdict",
    "told_apart": "verdict",
    "training_logs": "logs",
    "training_manifests": "logs",
    "trends": "history",
    "update_lock": "lock",
    "update_locks": "lock",
    "version_changes": "registry",
    "write_comparison": "pages",
    "write_page": "pages",
}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'runs')}")
    return getattr(module, name)
