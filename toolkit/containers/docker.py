"""Dockerfiles for training and for serving, and what stays out of their build."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path

from edgekit.containers.manifest import MARK, USER
from edgekit.containers.serving import PORT, STATE
from edgekit.containers.training import PROJECT, STATES

TRAINING, SERVING = "training", "serving"
ENVIRONMENT, WHEELS = "/opt/edgekit", "/wheels"
BUNDLE = "/model/bundle.tar.gz"
# Keys, records and what runs leave behind; nothing of it belongs into an image.
LEFT_OUT = (
    *(".git", ".venv", "venv", ".env", "*.pem", "*.key", "**/__pycache__", "**/*.pyc"),
    *(".edgekit", "build", "dist", "registry", "mlflow.db", "mlartifacts"),
)


def training_file(folder: str) -> str:
    """Return the Dockerfile of an image that trains; ``folder`` is that of these files."""
    return _file(
        TRAINING,
        folder,
        [
            f"COPY . {PROJECT}",
            # What TensorFlow and Keras keep of their own goes where one may write.
            f"RUN mkdir {STATES} && chown {USER}:{USER} {STATES}",
            f"WORKDIR {PROJECT}",
            f"USER {USER}:{USER}",
            "# It ends with the training: there is nothing to ask.",
            "HEALTHCHECK NONE",
            f"ENTRYPOINT {json.dumps(['edgekit', 'train', '--output', STATES])}",
        ],
    )


def serving_file(folder: str, bundle: str, digest: str = "") -> str:
    """Return the Dockerfile of an image that serves a bundle, by default ``bundle``.

    Its sha256 is ``digest``: no other goes into an image.
    """
    content = f"hashlib.sha256(open('{BUNDLE}', 'rb').read()).hexdigest()"
    told = "'not the bundle of BUNDLE_SHA256'"
    check = f"import hashlib, sys; sys.exit(0 if {content} == '${{BUNDLE_SHA256}}' else {told})"
    ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/healthz', timeout=2)"
    serve = ["edgekit", "serve", BUNDLE, "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
    return _file(
        SERVING,
        folder,
        [
            f"ARG BUNDLE={bundle}",
            f"ARG BUNDLE_SHA256={digest}",
            f"COPY ${{BUNDLE}} {BUNDLE}",
            f'RUN python -c "{check}"',
            f"RUN mkdir {STATE} && chown {USER}:{USER} {STATE}",
            f"WORKDIR {STATE}",
            f"USER {USER}:{USER}",
            f"EXPOSE {PORT}",
            "HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \\",
            f"    CMD {json.dumps(['python', '-c', ask])}",
            f"ENTRYPOINT {json.dumps(serve)}",
        ],
    )


def ignored(folder: str, kind: str) -> str:
    """Return what a build does not see: BuildKit reads it beside the Dockerfile."""
    lines = LEFT_OUT if kind == TRAINING else ("*", f"!{folder}", "!dist/*.tar.gz", "!registry")
    return "\n".join((f"{MARK}.", *lines)) + "\n"


def _file(kind: str, folder: str, rest: Sequence[str]) -> str:
    """Return a Dockerfile of two stages: pip and what it leaves stay in the first."""
    listed = f"requirements-{kind}.txt"
    install = f"pip install --no-deps --find-links {WHEELS} --requirement {listed}"
    where = f"{folder}/" if folder != "." else ""
    lines = [
        f"{MARK}; build it in the project's folder:",
        f"#   docker build --file {where}{kind}.Dockerfile --tag NAME:TAG .",
        "# A tag, since only a registry knows its digest: docker buildx imagetools inspect TAG",
        "# prints it, for --build-arg BASE=python@sha256:DIGEST.",
        f"ARG BASE=python:{platform.python_version()}-slim",
        "FROM ${BASE} AS build",
        "ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1",
        f"RUN python -m venv {ENVIRONMENT}",
        "WORKDIR /build",
        f"COPY {where}wheels {WHEELS}",
        f"COPY {where}{listed} .",
        f"RUN {ENVIRONMENT}/bin/python -m {install}",
        "",
        "FROM ${BASE}",
        f"RUN groupadd --gid {USER} edgekit \\",
        f"    && useradd --no-log-init --uid {USER} --gid {USER} --home-dir /tmp edgekit",
        f"ENV PATH={ENVIRONMENT}/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
        f"COPY --from=build {ENVIRONMENT} {ENVIRONMENT}",
        *rest,
    ]
    return "\n".join(lines) + "\n"


def newest_bundle(root: Path) -> str:
    """Return the newest bundle below ``dist/``, as a build sees it, or what to put there."""
    found = sorted((root / "dist").glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    return found[-1].relative_to(root).as_posix() if found else "dist/BUNDLE.tar.gz"
