"""The page of the Python API: the public names, their signatures and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edgekit
from edgekit import api

HEAD = """\
# The Python API

What `edgekit` offers, and below what `edgekit.api` has besides. Every command is one of these
functions. They raise `EdgekitError`, with `code`, `message` and `hint`.

```python
from edgekit import Project, convert

report = convert(Project.load("edgekit.toml"))
print(report.verdict.status.value, report.verdict.exit_code)
```

`python tests/documents/pages.py` writes this page; a test holds it against the code.

## edgekit
"""


def page() -> str:
    """Return the whole page."""
    own = sorted(edgekit.__all__, key=str.lower)
    others = sorted({*api_names()} - {*own}, key=str.lower)
    return "".join(
        [
            HEAD,
            *(_section(name, getattr(edgekit, name)) for name in own),
            "\n## edgekit.api\n",
            *(_section(name, getattr(api, name)) for name in others),
        ]
    )


def api_names() -> Iterator[str]:
    """Yield the names that edgekit.api offers: what it declares to type checkers."""
    tree = ast.parse(Path(str(api.__file__)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edgekit.api"):
            yield from (alias.asname or alias.name for alias in node.names)


def _section(name: str, thing: Any) -> str:
    about = _plain(inspect.getdoc(thing) or "")
    if dataclasses.is_dataclass(thing):
        code = _fields(name, thing)
        methods = "".join(_methods(thing))
    elif inspect.isclass(thing):
        code = f"class {name}"
        methods = "".join(_methods(thing))
    else:
        code, methods = _signature(name, thing), ""
    return f"\n### {name}\n\n```python\n{code}\n```\n\n{about}\n{methods}"


def _signature(name: str, function: Any) -> str:
    """Return a signature, a parameter a line where it is long."""
    signature = inspect.signature(function)
    # Postponed annotations are shown quoted.
    parts = [str(one).replace("'", "") for one in signature.parameters.values()]
    answer = signature.return_annotation
    gives = "" if answer is inspect.Signature.empty else f" -> {answer}"
    one_line = f"def {name}({', '.join(parts)}){gives}"
    if len(one_line) <= 90:
        return one_line
    lines = "".join(f"    {part},\n" for part in parts)
    return f"def {name}(\n{lines}){gives}"


def _fields(name: str, thing: Any) -> str:
    """Return a dataclass's fields with their types and defaults."""
    lines = [f"class {name}:"]
    for field in dataclasses.fields(thing):
        default = "" if field.default is dataclasses.MISSING else f" = {_code(field.default)}"
        if field.default_factory is not dataclasses.MISSING:
            default = f" = {field.default_factory.__name__}()"
        lines.append(f"    {field.name}: {field.type}{default}")
    return "\n".join(lines)


def _code(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _methods(thing: type) -> Iterator[str]:
    """Yield a line for each public method and property that the class itself explains."""
    for name, member in vars(thing).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        text = inspect.getdoc(function)
        if (
            name.startswith(("_", "model_"))
            or not text
            or not callable(getattr(function, "fget", function))
        ):
            continue
        first = _plain(text.split("\n\n")[0]).replace("\n", " ")
        called = name if isinstance(member, property) else f"{name}()"
        yield f"\n- `{called}`: {first}"
    yield "\n"


def _plain(text: str) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", text).replace("``", "`")
