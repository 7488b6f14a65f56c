"""The files that a command can write for CI, by the name of their option."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgekit.report.ci import code_quality, junit, markdown, sarif
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source

Writer = Callable[[Judged, Source], bytes]
WRITERS: Mapping[str, Writer] = {
    "summary": lambda judged, _: markdown.summary(judged).encode(),
    "junit": lambda judged, _: junit.junit(judged),
    "sarif": sarif.sarif,
    "code_quality": code_quality.code_quality,
}
