"""``ssh://[USER@]HOST[:PORT][/FOLDER]``: a machine that the system's OpenSSH client logs in to."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from urllib.parse import unquote

from edgekit.errors import DeviceError, DeviceNameError
from edgekit.targets.devices import openssh
from edgekit.targets.devices.device import Device, DeviceName, Workplace
from edgekit.targets.devices.remote import open_remote
from edgekit.targets.devices.scheme import AddressScheme

FORM = "ssh://[USER@]HOST[:PORT][/FOLDER]"
# What replaces ``ssh``, as words of a shell.
VARIABLE = "EDGEKIT_SSH_COMMAND"
DEFAULT_FOLDER = ".edgekit"
# A name that ssh or a shell would take as an option or a command is not a user or host.
ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[^/:@]+(?:@[^/:@\[\]]+)*)@)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?(?P<path>/.*)?",
    re.DOTALL,
)
USER = re.compile(r"\w[\w.+@$\\-]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Seconds until a login has to be answered, and between two questions to a silent host.
CONNECT, ALIVE, TIMES = 15, 5, 3
# ssh_config(5). A first value wins: what the user puts into EDGEKIT_SSH_COMMAND stands before.
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": CONNECT,
    "ServerAliveInterval": ALIVE,
    "ServerAliveCountMax": TIMES,
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "RemoteCommand": "none",
    "LogLevel": "INFO",
}
# Within single quotes every shell leaves all else as it is: ``!`` is csh's history, and a
# backslash escapes in fish.
SPECIAL = re.compile(rb"[^ -~]|['!\\]")


@dataclass(frozen=True)
class SshAddress:
    """An address as its parts: empty where it does not name them.

    ``folder`` is absolute, or below the home folder.
    """

    user: str
    host: str
    port: str
    folder: str

    @property
    def destination(self) -> list[str]:
        """The words by which ssh takes it."""
        port = ["-p", self.port] if self.port else []
        return [*port, f"{self.user}@{self.host}" if self.user else self.host]


def parse(address: str) -> SshAddress:
    """Return the parts of ``ssh://…``. Raises :class:`DeviceNameError` where it is malformed."""
    match = ADDRESS.fullmatch(address)
    if match is None or int(match["port"] or 1) not in range(1, 1 << 16):
        password = re.match(r"ssh://[^/@]*:[^/@]*@", address)
        why = "a password has no place in it: use a key, or an agent. " if password else ""
        raise _malformed(address, f"{why}It has the form {FORM}, [HOST] for an IPv6 address")
    user, folder = unquote(match["user"] or ""), _folder(address, match["path"] or "")
    if user and not USER.fullmatch(user):
        raise _malformed(address, f"{user!r} is not a name of a user")
    return SshAddress(user, match["ipv6"] or match["host"], match["port"] or "", folder)


def _folder(address: str, path: str) -> str:
    decoded = unquote(path, errors="surrogateescape").rstrip("/")
    if not decoded:
        return DEFAULT_FOLDER
    if CONTROL.search(decoded) or {".", ".."} & set(decoded.split("/")):
        raise _malformed(address, f"{decoded!r} is not a folder for edgekit: name it in full")
    if decoded == "/~":
        raise _malformed(address, "name a folder below the home folder: /~/FOLDER")
    return decoded.removeprefix("/~/")


def _malformed(address: str, hint: str) -> DeviceNameError:
    return DeviceNameError("EK-DEVICE-012", f"{address!r} is not an address of a device", hint)


def client() -> list[str]:
    """Return the words that start ssh. Raises :class:`DeviceError` where there is no such
    program.
    """
    said = os.environ.get(VARIABLE, "")
    try:
        words = shlex.split(said) or ["ssh"]
    except ValueError as error:
        message = f"{VARIABLE} is not a command: {str(error).lower()}"
        raise DeviceError("EK-DEVICE-040", message, f"it holds: {said}") from error
    if shutil.which(words[0]) is None:
        hint = "install OpenSSH's client (Debian, Ubuntu: apt-get install openssh-client)"
        if said:
            hint = f"{VARIABLE} names it; without the variable edgekit runs ssh"
        raise DeviceError("EK-DEVICE-040", f"there is no program {words[0]} here", hint)
    return words


def quoted(script: str) -> str:
    """Return a command line that runs ``sh -c SCRIPT`` under any login shell: sh, csh, fish and
    others.

    What a shell might take for its own goes as octal numbers of its bytes (printf(1), POSIX).
    """
    encoded = SPECIAL.sub(lambda found: b"\\0%03o" % found[0][0], os.fsencode(script))
    return f"exec sh -c 'exec sh -c \"$(printf %b \"$1\")\"' sh '{encoded.decode()}'"


class SshConnection:
    """A login by the system's ssh, which reads its own configuration; it asks nothing."""

    def __init__(self, address: str) -> None:
        self._address, self._parts = address, parse(address)

    @property
    def address(self) -> str:
        """The device as it is named."""
        return self._address

    @property
    def folder(self) -> str:
        """Where edgekit keeps its files there: absolute, or below the home folder."""
        return self._parts.folder

    @property
    def pythons(self) -> tuple[str, ...]:
        """None besides those on the PATH there."""
        return ()

    def command(self, script: str) -> list[str]:
        """Return a local command that runs ``sh -c SCRIPT`` there, whatever the login shell is.

        Raises :class:`DeviceError` where there is no ssh here.
        """
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        return [*client(), "-T", *options, *self._parts.destination, quoted(script)]

    def environment(self) -> dict[str, str]:
        """Return this process's own: ssh finds its agent and the home folder there."""
        return dict(os.environ)

    def failure(self, status: int, said: str) -> DeviceError | None:
        """Tell why ssh did not get through, from what it said; ``None`` where the status is not its
        own.

        Of a connection that broke in its middle, too.
        """
        if status != openssh.STATUS:
            return None
        login = openssh.Login(self._address, client(), self._parts.destination)
        return openssh.failure(login, said)


def _check(address: str) -> None:
    parse(address)


def _open(name: DeviceName, place: Workplace) -> Device:
    return open_remote(SshConnection(name.address), name, place)


RUNTIMES = (
    "litert",
    "tflite-runtime",
    "compiled-model",
    "reference",
    "native",
    "benchmark_model",
)
SCHEME = AddressScheme(
    FORM,
    _check,
    RUNTIMES,
    _open,
    connect=SshConnection,
)
