"""The first lines that run on a device: they take the agent's sources from stdin and start it.

Given to ``python -c`` with a marker as its argument. What was written to stdout before the line of
the marker is not the agent's. Ends with status 97 on a Python that is too old for the rest.
"""

import sys

if sys.version_info < (3, 9):
    sys.exit(97)

# ruff: noqa: E402
# The folder that one is in after logging in is not a place to import from.
sys.path[:] = [folder for folder in sys.path if folder]

import importlib.util
import json
import os
import types
import zlib


class Sources:
    """Modules from a mapping of their sources by full name: finder and loader (PEP 451)."""

    def __init__(self, sources: dict, package: str) -> None:  # type: ignore[type-arg]
        self.sources, self.package = sources, package

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name not in self.sources:
            return None
        package = name == self.package
        return importlib.util.spec_from_loader(name, self, is_package=package)  # type: ignore[arg-type]

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        exec(compile(self.sources[name], "<%s>" % name, "exec"), module.__dict__)  # noqa: S102


def read(count: int) -> bytes:
    held = b""
    while len(held) < count:
        got = os.read(0, count - len(held))
        if not got:
            sys.exit(98)
        held += got
    return held


def main() -> None:
    # With -c the first place to look for modules is the working folder, and that is anyone's.
    sys.path = [folder for folder in sys.path if folder]
    line = b""
    while not line.endswith(b"\n"):
        line += read(1)
    options = json.loads(line.decode())
    sources = json.loads(zlib.decompress(read(options["bytes"])).decode())
    sys.meta_path.insert(0, Sources(sources, options["package"]))  # type: ignore[arg-type]
    os.write(1, ("\n%s\n" % sys.argv[1]).encode())
    serving = importlib.import_module(options["package"] + ".serving")
    serving.main(options)


main()
