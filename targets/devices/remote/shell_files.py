"""Files on a device that has nothing but a shell: by content, resumed, verified, renamed."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ConnectionLost, DeviceError
from edgekit.targets.devices.agent.folder import MARK, NOTE, OWN
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote.shell import PATIENCE, Shell, refusal
from edgekit.types import Progress, Silent

# How often a file is begun again that a connection broke at, or that arrived damaged.
ATTEMPTS = 4
# Bytes a second of the slowest link that is waited for.
SLOWEST = 20_000
# How the scripts below end, where it is not the end of one of their programs.
SHORT, DAMAGED, NO_SUM, FOREIGN, NOTHING = 64, 65, 66, 67, 68

# As ``agent.folder`` has it: a folder that holds other things is not edgekit's, one in it may be.
CHOOSE = f"""
ours() {{{{ [ ! -d "$1" ] || [ -f "$1/{MARK}" ] || [ -z "$(ls -A "$1")" ]; }}}}
folder={{folder}}
ours "$folder" || folder="$folder/{OWN}"
ours "$folder" || exit {FOREIGN}
"""
PREPARE = f"""
command -v sha256sum >/dev/null || exit {NO_SUM}
{CHOOSE}
[ -d "$folder" ] || (umask 077; mkdir -p "$folder") || exit 1
[ -f "$folder/{MARK}" ] || echo {shlex.quote(NOTE + "[]")} > "$folder/{MARK}" || exit 1
mkdir -p "$folder/files" && cd "$folder" && pwd && cd files || exit 1
for name in {{names}}; do
    if [ -f "$name" ]; then echo "$name whole" $(wc -c < "$name")
    elif [ -f "$name.part" ]; then echo "$name part" $(wc -c < "$name.part")
    fi
done
"""
# The size comes first: a file that was cut off is resumed, one that is whole and wrong is not.
REMOVE = f"""
{CHOOSE}
[ -f "$folder/{MARK}" ] || exit {NOTHING}
rm -rf "$folder"
"""
SEND = f"""
cd {{folder}}/files && cat >> {{name}}.part || exit 1
[ $(wc -c < {{name}}.part) -ge {{size}} ] || exit {SHORT}
sum=$(sha256sum < {{name}}.part) || exit 1
[ "${{{{sum%% *}}}}" = {{name}} ] || {{{{ rm -f {{name}}.part; exit {DAMAGED}; }}}}
chmod {{mode}} {{name}}.part && mv -f {{name}}.part {{name}}
"""


@dataclass(frozen=True)
class Held:
    """What a device has of a file: so many bytes, of the whole of it or of a part."""

    whole: bool
    bytes: int


class ShellFiles:
    """Files below ``folder`` of a device (absolute, or below the home folder), by their sha256.

    They lie in ``folder/files/<sha256>``, with ``.part`` while they are on their way. Needs of the
    shell there ``cat``, ``chmod``, ``mkdir``, ``mv``, ``rm``, ``wc`` and ``sha256sum``.
    """

    def __init__(
        self, connection: Connection, folder: str, progress: Progress | None = None
    ) -> None:
        self.shell = Shell(connection)
        self._address = connection.address
        self._folder = folder
        self._progress = progress or Silent()
        # What has been seen there whole, as long as this object lives.
        self._there: set[str] = set()
        self._made = False

    def push(self, paths: Sequence[Path], executable: bool = False) -> Mapping[Path, str]:
        """Where each file lies on the device, absolute; what is there already is not sent.

        Raises :class:`DeviceError` where the device has no room, refuses to write, or is not
        reached, and :class:`ConnectionLost` where it went away and stays away.
        """
        named = {path: sha256(path) for path in paths}
        missing = {name: path for path, name in named.items() if name not in self._there}
        for attempt in range(ATTEMPTS) if missing or not paths else ():
            try:
                held = self._prepare(missing)
                for name, path in list(missing.items()):
                    self._send(name, path, held.get(name), executable)
                    del missing[name]
            except ConnectionLost:
                if attempt + 1 == ATTEMPTS:
                    raise
            else:
                break
        return {path: f"{self._folder}/files/{name}" for path, name in named.items()}

    def folder(self) -> str:
        """The folder there, made where it is missing, as an absolute path."""
        if not self._made:
            self._prepare(())
        return self._folder

    def fetch(self, remote: str, local: Path) -> None:
        """Copy a file of the device to the host, whole or not at all.

        Raises :class:`DeviceError` where it is not there, and what :meth:`push` raises.
        """
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(local.name + ".part")
        name = shlex.quote(remote)
        try:
            told = self.shell.run(f"wc -c < {name} && sha256sum < {name}")
            if told.status:
                raise refusal(self._address, f"reading {remote}", told.err)
            size, digest = int(told.out.split()[0]), told.out.split()[1].decode()
            said = self.shell.run(f"cat {name}", seconds=_patience(size))
            if said.status:
                raise refusal(self._address, f"reading {remote}", said.err)
            part.write_bytes(said.out)
            if sha256(part) != digest:
                message = f"{self._address}: {remote} arrived damaged"
                raise ConnectionLost("EK-DEVICE-075", message, "run it again")
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it, where it is edgekit's.

        Raises :class:`DeviceError`, also where there is none.
        """
        said = self.shell.run(REMOVE.format(folder=shlex.quote(self._folder)))
        self._there.clear()
        if said.status in (NOTHING, FOREIGN):
            hint = f"{self._folder} is not there, or not edgekit's"
            raise DeviceError("EK-DEVICE-055", f"edgekit has put nothing on {self._address}", hint)
        if said.status:
            raise refusal(self._address, f"removing {self._folder}", said.err)

    def _prepare(self, names: Mapping[str, Path] | Sequence[str]) -> Mapping[str, Held]:
        """Make the folder, and see what it has of some files."""
        script = PREPARE.format(folder=shlex.quote(self._folder), names=" ".join(names))
        said = self.shell.run(script)
        if said.status == NO_SUM:
            hint = "there is no sha256sum to verify files by: install BusyBox or coreutils there"
            raise DeviceError("EK-DEVICE-076", f"{self._address} cannot take files", hint)
        if said.status == FOREIGN:
            message = f"{self._address}: {self._folder} holds files that are not edgekit's"
            raise DeviceError("EK-DEVICE-036", message, "name another folder in the address")
        if said.status:
            raise refusal(self._address, f"making the folder {self._folder}", said.err)
        folder, *lines = said.out.decode().splitlines()
        # A folder below the home folder is told as it is from the root.
        self._folder, self._made = folder, True
        rows = [line.split() for line in lines]
        return {name: Held(kind == "whole", int(size)) for name, kind, size in rows}

    def _send(self, name: str, path: Path, held: Held | None, executable: bool) -> None:
        """Bring one file there, going on where an earlier attempt ended."""
        size = path.stat().st_size
        if held is None or not held.whole or held.bytes != size:
            start = held.bytes if held and not held.whole and held.bytes <= size else 0
            if start == 0 and held is not None:
                # Too long for what it should become, or shortened after it was verified.
                self.shell.run(f"cd {shlex.quote(self._folder)}/files && rm -f {name} {name}.part")
            self._append(name, path, start, size, executable)
        self._there.add(name)

    def _append(self, name: str, path: Path, start: int, size: int, executable: bool) -> None:
        for _ in range(ATTEMPTS):
            script = SEND.format(
                folder=shlex.quote(self._folder), name=name, size=size,
                mode="700" if executable else "600",
            )  # fmt: skip
            self._progress.update(start, size, f"sending {path.name} to {self._address}")
            with path.open("rb") as file:
                file.seek(start)
                said = self.shell.run(script, file, _patience(size - start))
            if said.status == 0:
                return
            if said.status == SHORT:
                message = f"{self._address} went away while {path.name} was sent"
                raise ConnectionLost("EK-DEVICE-075", message, "run it again: it goes on from here")
            if said.status != DAMAGED:
                self.shell.run(f"rm -f {shlex.quote(self._folder)}/files/{name}.part")
                raise refusal(self._address, f"keeping {path.name} ({size} bytes)", said.err)
            start = 0
        hint = "its disk or the connection to it changes bytes: check both"
        raise DeviceError("EK-DEVICE-076", f"{self._address}: {path.name} arrives damaged", hint)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _patience(size: int) -> float:
    return PATIENCE + size / SLOWEST
