"""Secrets taken out of what was recorded: who and where, in addresses and in texts."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from edgekit.targets.devices.book import Listed
from edgekit.targets.devices.transports import SCHEMES
from edgekit.types import Json

# Names that everybody has, and words that would be cut out of innocent texts.
COMMON = frozenset({"root", "localhost", "127.0.0.1", "::1", "user", "local", "home", ""})
# Values under these names say who or where, whatever they look like.
TELLING = frozenset(
    {
        "serial",
        "serialno",
        "serial_number",
        "hostname",
        "node",
        "user",
        "mac",
        "ip",
        "imei",
    }
)
# What these hold is named by edgekit itself.
PLAIN = frozenset({"runtime", "version", "code", "kind", "mode"})
REMOVED = "<removed>"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
PATTERNS = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*"), "<user>@<host>"),
    (re.compile(r"/(?:home|Users|data/data)/[^/\s\"':;,]+"), "<home>"),
    (re.compile(r"(?<![\w/.-])/root(?![\w.-])"), "<home>"),
    (re.compile(rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.]*\d)"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:])"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"), "<address>"),
    (re.compile(r"(?<![\w:])(?=[0-9A-Fa-f:]*::)(?:[0-9A-Fa-f]{1,4}|:)+(?![\w:])"), "<address>"),
    (
        re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.(?:local|lan|home|internal|arpa)(?![\w-])"),
        "<host>",
    ),
)


class Redactor:
    """Takes secrets out of names, texts and values; the same one is always replaced alike.

    Placeholders are numbered in the order in which addresses are first seen. ``folders`` are
    replaced by what they are mapped to.
    """

    def __init__(self, folders: Mapping[str, str] | None = None) -> None:
        self._secrets: dict[str, str] = {}
        self._folders = dict(folders or {})

    def of_this_host(self) -> Redactor:
        """Return the same, which knows the user, the home folder and the name of this machine."""
        self._folders[str(Path.home())] = "<home>"
        with contextlib.suppress(KeyError, OSError):
            self._learn(getpass.getuser(), "<user>")
        for name in (socket.gethostname(), os.environ.get("HOSTNAME", "")):
            self._learn(name, "<host>")
            self._learn(name.partition(".")[0], "<host>")
        return self

    def learn(self, names: Iterable[str], listed: Mapping[str, Listed]) -> None:
        """Number what the addresses of these devices hold, in their order.

        A record and its replay do so alike, and thus know devices by the same placeholders.
        """
        for name in names:
            self.address(listed[name].address if name in listed else name)

    def address(self, name: str) -> str:
        """Return a device's name without its user, host, folder and serial number."""
        scheme, found, rest = name.partition("://")
        if not found:
            return self.text(name)
        if scheme in SCHEMES and SCHEMES[scheme].create is not None:
            # Of a device that edgekit makes the address tells the kind, and nobody's machine.
            return name
        where, hashed, runtime = rest.partition("#")
        parts = urlsplit(f"//{where}")
        if not parts.netloc:
            placed = "/" + self._number(where.lstrip("/"), "port")
        else:
            user, at, host = parts.netloc.rpartition("@")
            name_of, colon, port = host.rpartition(":")
            if not (colon and port.isdecimal()):
                name_of, colon, port = host, "", ""
            kind = "serial" if scheme == "adb" and not colon else "host"
            hidden = f"{self._number(user, 'user')}@" if at else ""
            folder = "/" + self._number(parts.path.lstrip("/"), "folder") if parts.path else ""
            placed = f"{hidden}{self._number(name_of, kind)}{colon}{port}{folder}"
        return f"{scheme}://{placed}{hashed}{runtime}"

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for folder in sorted(self._folders, key=len, reverse=True):
            # After "ssh:/" it is a user: root's home is named like root.
            text = re.sub(rf"(?<!:/){re.escape(folder)}", self._folders[folder], text)
        for secret in sorted(self._secrets, key=len, reverse=True):
            found = rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"
            text = re.sub(found, self._secrets[secret], text)
        for pattern, instead in PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def json(self, value: Json, name: str = "") -> Json:
        """Return a value without secrets in its texts."""
        if isinstance(value, dict):
            return {key: self.json(one, str(key)) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(one, name) for one in value]
        if not isinstance(value, str) or name in PLAIN:
            return value
        return REMOVED if name.lower() in TELLING else self.text(value)

    def _number(self, secret: str, kind: str) -> str:
        """Return the placeholder of a part of an address."""
        if secret in COMMON:
            return secret
        known = self._secrets.get(secret)
        if known is None or known.startswith("<"):
            count = sum(one.startswith(f"{kind}-") for one in self._secrets.values()) + 1
            known = self._secrets[secret] = f"{kind}-{count}"
        return known

    def _learn(self, secret: str, instead: str) -> None:
        if secret not in COMMON and len(secret) > 1:
            self._secrets.setdefault(secret, instead)
