"""The bundle for Linux with Python: the runner, an app around it, a requirements file a runtime."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.sample_apps import FOLDER
from edgekit.targets.bundles.archive import Contents
from edgekit.targets.catalog import Target
from edgekit.targets.runners import RUNNER_FILES

README = """# {name} {version} for {title}

The app needs Python 3.9 or later. Install one of the runtimes; its wheels may need another Python:

{installs}
    python app.py selftest
    python app.py bench
    python app.py classify items.npy
    python app.py classify photo.jpg    # pictures need Pillow: pip install pillow

`manifest.json` describes the model's inputs and outputs, the preprocessing (the app applies it),
and what was measured when this bundle was made.
{notes}"""


def files(target: Target, contents: Contents) -> Mapping[str, bytes]:
    """Return the platform's files by their path in the bundle."""
    placed = {
        "app.py": (FOLDER / "linux_python" / "app.py").read_bytes(),
        "pictures.py": (FOLDER / "linux_python" / "pictures.py").read_bytes(),
        "python_runner.py": RUNNER_FILES["litert"].read_bytes(),
    }
    installs = ""
    for runtime in target.runtimes:
        requirements = f"requirements-{runtime.name}.txt"
        # Whoever has this file alone reads here why a Python finds no wheel.
        lines = [f"# {runtime.note}"] if runtime.note else []
        lines += [f"{runtime.package}=={runtime.version}", *runtime.requires]
        placed[requirements] = ("\n".join(lines) + "\n").encode()
        note = f"    # {runtime.note}" if runtime.note else ""
        installs += f"    pip install -r {requirements}{note}\n"
    notes = "".join(f"\n- {note}." for note in target.notes)
    text = README.format(
        name=contents.name,
        version=contents.version,
        title=target.title,
        installs=installs,
        notes=notes + "\n",
    )
    placed["README.md"] = text.encode()
    return placed
