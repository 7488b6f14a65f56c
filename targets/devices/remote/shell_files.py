"""Files on a device that has nothing but a shell: by content, resumed, verified, renamed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.store import sha256
from edgekit.targets.devices.agent.folder import MARK, NOTE, OWN
from edgekit.targets.devices.connection import Connection
from edgekit.targets.devices.remote.files import Damaged, Pushing
from edgekit.targets.devices.remote.shell import PATIENCE, Shell, refusal
from edgekit.types import Progress, Silent

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


class ShellFiles(Pushing):
    """Files below ``folder`` of a device (absolute, or below the home folder), by their sha256.

    They lie in ``folder/files/<sha256>``, with ``.part`` while they are on their way. Needs of the
    shell there ``cat``, ``chmod``, ``mkdir``, ``mv``, ``rm``, ``wc`` and ``sha256sum``.
    """

    def __init__(
        self, connection: Connection, folder: str, progress: Progress | None = None
    ) -> None:
        super().__init__(connection.address, progress or Silent())
        self.shell = Shell(connection)
        self._folder = folder
        self._made = False

    def folder(self) -> str:
        """Return the folder there, made where it is missing, as an absolute path."""
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
                raise self.shell.lost(f"went away, or {remote} arrived damaged")
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it, where it is edgekit's.

        Raises :class:`DeviceError`, also where there is none.
        """
        said = self.shell.run(REMOVE.format(folder=shlex.quote(self._folder)))
        self._pushed.clear()
        if said.status in (NOTHING, FOREIGN):
            hint = f"{self._folder} is not there, or not edgekit's"
            raise DeviceError("EK-DEVICE-055", f"edgekit has put nothing on {self._address}", hint)
        if said.status:
            raise refusal(self._address, f"removing {self._folder}", said.err)

    def _missing(self, lengths: Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
        missing = dict.fromkeys(lengths, 0)
        for name, (whole, held) in self._prepare(lengths).items():
            if whole and held == lengths[name]:
                del missing[name]
            elif not whole and 0 < held <= lengths[name]:
                missing[name] = held
            else:
                # Too long for what it should become, or shortened after it was verified.
                self._discard(name, f"{name}.part")
        return f"{self._folder}/files", missing

    def _prepare(self, names: Iterable[str]) -> Mapping[str, tuple[bool, int]]:
        """Make the folder, and see what it has of some files: whether the whole, and its bytes."""
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
        return {name: (kind == "whole", int(size)) for name, kind, size in rows}

    def _discard(self, *names: str) -> None:
        self.shell.run(f"cd {shlex.quote(self._folder)}/files && rm -f {' '.join(names)}")

    def _send(
        self, files: Mapping[str, Path], missing: Mapping[str, int], executable: bool
    ) -> None:
        mode = "700" if executable else "600"
        for name, path in files.items():
            size, start = path.stat().st_size, missing[name]
            script = SEND.format(folder=shlex.quote(self._folder), name=name, size=size, mode=mode)
            with path.open("rb") as file:
                file.seek(start)
                said = self.shell.run(script, file, _patience(size - start))
            if said.status == SHORT:
                raise self.shell.lost(f"went away while {path.name} was sent")
            if said.status == DAMAGED:
                hint = "its disk or the connection to it changes bytes: check both"
                message = f"{self._address}: {path.name} arrives damaged"
                raise Damaged("EK-DEVICE-076", message, hint)
            if said.status:
                self._discard(f"{name}.part")
                raise refusal(self._address, f"keeping {path.name} ({size} bytes)", said.err)


def _patience(size: int) -> float:
    return PATIENCE + size / SLOWEST
