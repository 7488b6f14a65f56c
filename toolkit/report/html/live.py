"""The page of a run that is not finished, which looks again every second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.report.document import plain
from edgekit.report.html import shell

if TYPE_CHECKING:
    from edgekit.report.live.state import LiveRun

SCRIPT = "live.js"
POLICY_OF_OTHERS = "default-src 'none'; frame-ancestors 'none'"


def live_page(state: LiveRun) -> tuple[str, str]:
    """Return the page of a run, and its content security policy: it asks only its own server."""
    script = shell.asset(SCRIPT)
    policy = f"{shell.policy([script])}; connect-src 'self'; frame-ancestors 'none'"
    text = shell.template("live.html.j2").render(
        run=state.run,
        style=shell.asset(shell.STYLE),
        script=script,
        data=shell.embedded(plain(state)),
    )
    return text, policy


def refusal_page(state: LiveRun, reason: str) -> tuple[str, str]:
    """Return a page that says why the run's page cannot be drawn, and its policy."""
    text = shell.template("refusal.html.j2").render(
        run=state.run, style=shell.asset(shell.STYLE), reason=reason
    )
    return text, f"{shell.policy([])}; frame-ancestors 'none'"
