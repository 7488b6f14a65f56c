"""SARIF 2.1.0: red checks and notes, as code scanning shows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from edgekit.explanations import without_links
from edgekit.report.ci.escaping import plain_text
from edgekit.report.ci.issues import Issue, explained, issues
from edgekit.report.ci.judged import Judged
from edgekit.report.ci.source import Source
from edgekit.types import Json

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(judged: Judged, source: Source) -> bytes:
    """Return the checks that are not passed, and the notes, as SARIF."""
    listed = list(issues(judged, source))
    rules = list(dict.fromkeys(issue.rule for issue in listed))
    driver = {
        "name": "edgekit",
        "rules": [_rule(rule) for rule in rules],
    }
    if version := judged.facts.get("edgekit"):
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"edgekit {judged.command}/{judged.run}"},
        "columnKind": "unicodeCodePoints",
        "results": [_result(issue, rules) for issue in listed],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _rule(rule: str) -> dict[str, Json]:
    meaning = explained(rule)
    described: dict[str, Json] = {"id": rule}
    if meaning is None:
        return described
    what = without_links(meaning.what)
    causes = "\n".join(f"- {cause}" for cause in meaning.causes)
    text = without_links(f"{what}\n\nLikely causes:\n\n{causes}\n\nWhat to do: {meaning.fix}")
    return {
        **described,
        "name": rule.rpartition("/")[2].title().replace("-", "").replace(" ", ""),
        "shortDescription": {"text": what.partition(". ")[0].rstrip(".") + "."},
        "fullDescription": {"text": what},
        "help": {"text": text, "markdown": text},
    }


def _result(issue: Issue, rules: Sequence[str]) -> dict[str, Json]:
    path, line = issue.place
    place = {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": line}}
    # What makes it the same issue in the next run, whatever its figures are then.
    same = f"{issue.rule}\n{issue.subject}\n{issue.title}"
    result: dict[str, Json] = {
        "ruleId": issue.rule,
        "ruleIndex": rules.index(issue.rule),
        "level": issue.level,
        "message": {"text": _message(f"{issue.title}: {issue.text}")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"edgekit/v1": hashlib.sha256(same.encode()).hexdigest()},
    }
    if issue.waiver is not None:
        why = plain_text(f"until {issue.waiver.expires}: {issue.waiver.reason}")
        result["suppressions"] = [{"kind": "external", "justification": why}]
    return result


def _message(text: str) -> str:
    """Return a text in which brackets are not links."""
    return plain_text(text).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _uri(path: str) -> str:
    return Path(path).as_uri() if path.startswith("/") else quote(path)
