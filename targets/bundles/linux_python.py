"""The bundle for Linux with Python: the runner, an app around it, a requirements file a runtime.

It is a package that pip installs, and has a systemd unit that answers files put into a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.version import InvalidVersion, Version

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.bundles.python_ranges import in_words, requires_python, shares
from edgekit.targets.catalog import Runtime, Target
from edgekit.targets.runners import FOLDER as RUNNERS
from edgekit.targets.runners import RUNNER_FILES

# Samples become features by it.
SIGNALS = FOLDER / "processing" / "numpy" / "edgekit_signals.py"
SOUNDS = FOLDER / "linux_python" / "sounds.py"
RECORDERS = ("recorder.py", "raw_items.py")
APP = ("app.py", "pictures.py", "watch.py")

README = """# {name} {version} for {title}

The app needs {pythons}, numpy and one runtime: the first of these installs the one that has
wheels for your Python, the others a certain one.

    python3 -m venv env && . env/bin/activate
{installs}
    python app.py selftest
    python app.py bench
    python app.py classify items.npy
    python app.py classify {example}
    python app.py watch inbox           # one JSON line for every file put into the folder inbox
    python app.py watch inbox --record records

`manifest.json` describes the model's inputs and outputs, the preprocessing (the app applies it),
and what was measured when this bundle was made.

With `--record FOLDER` the app counts what the model is given and what it answers, by the bins of
`monitoring.json`: statistics, one JSON line for a thousand items or an hour, and never an item. It
is off unless asked for, takes at most 32 MB, and a full disk stops nothing. `edgekit monitor
BUNDLE FOLDER` tells whether the model still meets what it was measured on.

With `--raw-items N` besides, a sample of at most N items and 16 MiB is kept in `items.jsonl` of
that folder: inputs as they were given, and what was answered. **They may hold personal data**, so
none is kept unless asked for.

## As a package

pip installs the app as the command `{command}`, with a runtime and Pillow:

    pip install ".[runtime,pictures]"
    {command} selftest

## As a service

`systemd/{command}.service` tests the model once, then answers every file that is put into
`/var/lib/{command}/inbox`; answers go to the journal, files to `done/` or `refused/` below it.
{state}Write a file under a name that begins with a dot, then rename it.

    python3 -m venv /opt/{command} && /opt/{command}/bin/pip install ".[runtime,pictures]"
    cp systemd/{command}.service /etc/systemd/system/
    systemctl enable --now {command} && journalctl --follow --unit {command}
{notes}"""

PICTURE = "photo.jpg    # pictures need Pillow: pip install pillow"
SOUND = "clip.wav     # 16-bit PCM, mono or stereo, at the rate of the manifest"
STATE = """\
The model keeps a state: from the start of the service on, files in the order of their names are one
stream.
"""

PACKAGE = '''"""The model {name} {version}, its app and its golden pairs, as a package."""

import sys
from pathlib import Path

# The app's modules find each other as they do beside a script.
sys.path.insert(0, str(Path(__file__).resolve().parent))
'''

PYPROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "{command}"
version = "{version}"
description = "The model {name}, with an app that tests, times and runs it"
requires-python = "{python}"
dependencies = ["numpy"]

[project.optional-dependencies]
{extras}pictures = ["pillow"]

[project.scripts]
{command} = "{module}.app:main"

[tool.setuptools]
packages = ["{module}"]
package-dir = {{ "{module}" = "." }}

[tool.setuptools.package-data]
{module} = ["*.tflite", "*.json", "*.txt", "golden/*.npy"]
"""

UNIT = """\
[Unit]
Description={name} {version}: answers files put into /var/lib/{command}/inbox

[Service]
ExecStartPre=/opt/{command}/bin/{command} selftest
ExecStartPre=/bin/mkdir -p /var/lib/{command}/inbox
ExecStart=/opt/{command}/bin/{command} watch /var/lib/{command}/inbox
Restart=on-failure
RestartSec=5
DynamicUser=yes
StateDirectory={command}
ProtectSystem=strict
ProtectHome=yes
PrivateNetwork=yes
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle."""
    command = distribution(contents.name)
    module = command.replace("-", "_") + "_app"
    words = {"name": contents.name, "command": command, "module": module}
    extras = {runtime.name: pins(runtime) for runtime in target.runtimes}
    extras["runtime"] = tuple(_chosen(target))
    python = requires_python(target.runtimes)
    texts = {
        "README.md": _readme(target, contents, command),
        "__init__.py": PACKAGE.format(**words, version=contents.version),
        "pyproject.toml": PYPROJECT.format(
            **words,
            version=package_version(contents.version),
            python=python,
            extras="".join(
                f"{name} = [{', '.join(map(quoted, lines))}]\n" for name, lines in extras.items()
            ),
        ),
        f"systemd/{command}.service": UNIT.format(**words, version=contents.version),
        "requirements.txt": "".join(f"{line}\n" for line in _chosen(target)),
        **{f"requirements-{r.name}.txt": _requirements(r) for r in target.runtimes},
    }
    placed = {name: (FOLDER / "linux_python" / name).read_bytes() for name in APP}
    if contents.preprocess.signal is not None:
        placed[SIGNALS.name] = SIGNALS.read_bytes()
        placed[SOUNDS.name] = SOUNDS.read_bytes()
    placed["python_runner.py"] = RUNNER_FILES["litert"].read_bytes()
    placed |= {name: (RUNNERS / name).read_bytes() for name in RECORDERS}
    return placed | {name: text.encode() for name, text in texts.items()}


def distribution(name: str) -> str:
    """Return a model's name as that of a package: lower case, one dash between words.

    Source: "Names and normalization", Python Packaging User Guide.
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def package_version(version: str) -> str:
    """Return a version that pip takes: any other, such as a digest, becomes a local version.

    Source: "Version specifiers", Python Packaging User Guide.
    """
    try:
        return str(Version(version))
    except InvalidVersion:
        return f"0+{re.sub(r'[^A-Za-z0-9]+', '.', version).strip('.') or 'unknown'}"


def pins(runtime: Runtime) -> tuple[str, ...]:
    """Return what a runtime needs, as pip takes it."""
    return (f"{runtime.package}=={runtime.version}", *runtime.requires)


def _chosen(target: Target) -> Iterator[str]:
    """Yield what each Python needs: by markers, the first runtime that has wheels for it."""
    for runtime, marker in shares(target.runtimes):
        yield from (f"{pin}; {marker}" if marker else pin for pin in pins(runtime))


def quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return f'"{text}"'


def _requirements(runtime: Runtime) -> str:
    # Whoever has this file alone reads here why a Python finds no wheel.
    note = [f"# {runtime.note}"] if runtime.note else []
    return "".join(f"{line}\n" for line in (*note, *pins(runtime)))


def _readme(target: Target, contents: Contents, command: str) -> str:
    installs = f"    pip install -r requirements.txt    # {in_words(target.runtimes)}\n"
    for runtime in target.runtimes:
        note = f"    # {in_words((runtime,))}: {runtime.note}" if runtime.note else ""
        installs += f"    pip install -r requirements-{runtime.name}.txt{note}\n"
    stateful = bool(contents.states or contents.golden.streams)
    return README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        installs=installs,
        command=command,
        pythons=in_words(target.runtimes),
        example=PICTURE if contents.preprocess.signal is None else SOUND,
        state=STATE if stateful else "",
        notes="".join(f"\n- {note}." for note in target.notes) + "\n",
    )
