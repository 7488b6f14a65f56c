"""A run that is still going on, as a page that follows it: on this machine alone."""

from edgekit.report.live.server import RunServer, serve
from edgekit.report.live.state import LiveRun, StageState, live_run

__all__ = ["LiveRun", "RunServer", "StageState", "live_run", "serve"]
