"""A private OpenSSH server on loopback: real logins, and the faults that cables and hosts have."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from edgekit.loopback import free_port

# It starts itself again, and must be called by its whole path.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""
PRIVILEGE_SEPARATION = Path("/run/sshd")
LOCALHOST = "127.0.0.1"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def needs_sshd() -> None:
    """Skip the test where there is no OpenSSH here, and say which packages have it."""
    for program, package in ((SSHD, "openssh-server"), (shutil.which("ssh"), "openssh-client")):
        if not program:
            pytest.skip(f"{package} is not installed (Debian, Ubuntu: apt install {package})")


class SshServer:
    """An sshd of this user with a home of its own below ``folder``; leaving it ends all logins.

    What is asked of it runs as ``wrapper`` says, a command of sh in which ``$SSH_ORIGINAL_COMMAND``
    is what the client asked for. ``path`` is the PATH there: by default the Python that runs the
    tests comes first.
    """

    def __init__(self, folder: Path, wrapper: str = "", path: str = "") -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = free_port()
        self.user = getpass.getuser()
        self.host_key, self.key = folder / "host", folder / "id"
        self.known_hosts, self.config = folder / "known_hosts", folder / "ssh_config"
        self.log = folder / "sshd.log"
        self._wrapper = wrapper
        self._path = path or f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alias(self) -> str:
        """The name that the known host key is filed under."""
        return f"[{LOCALHOST}]:{self.port}"

    def address(self, folder: str = "") -> str:
        """The device's address; ``folder`` is absolute, or below the home without it."""
        return f"ssh://{self.user}@{LOCALHOST}:{self.port}{folder}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes edgekit log in with the key of this server, and know its host key."""
        return {"EDGEKIT_SSH_COMMAND": shlex.join(["ssh", "-F", str(self.config)])}

    def ssh(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """What a command says over a login of its own."""
        command = ["ssh", "-F", str(self.config), "-p", str(self.port), LOCALHOST, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def __enter__(self) -> SshServer:
        self.home.mkdir(parents=True, exist_ok=True)
        for key in (self.host_key, self.key):
            if not key.exists():
                keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
                subprocess.run(keygen, check=True)
        self.know()
        self.configure()
        self.start()
        return self

    def know(self) -> None:
        """Write the host key down as the client's known one."""
        key = self.host_key.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"{self.alias} {key}")

    def configure(self, host: str = "", **settings: object) -> None:
        """Write the client's configuration: the alias ``board``, and other ``settings``.

        They are those of every host, or of the one that is named.
        """
        usual = {
            "User": self.user,
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
        }
        board = {"HostName": LOCALHOST, "Port": self.port}
        blocks: list[tuple[str, Mapping[str, object]]] = [
            (host or "*", settings),
            ("board", board),
            # ssh takes the first value that it meets, but of IdentityFile all.
            ("*", {name: value for name, value in usual.items() if name not in settings}),
        ]
        lines = []
        for name, values in blocks:
            lines += [f"Host {name}", *(f"  {key} {_word(value)}" for key, value in values.items())]
        self.config.write_text("\n".join([*lines, ""]))

    def start(self, *options: str) -> None:
        """Listen, at the same port as before, with more ``options`` of sshd."""
        if os.geteuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        settings = self.folder / "sshd_config"
        settings.write_text(self._settings())
        command = [SSHD, "-D", "-e", "-f", str(settings), *options]
        # Since OpenSSH 9.8 a client is locked out for a while after it was refused.
        lenient = ["-o", "PerSourcePenalties=no"]
        known = subprocess.run([*command, *lenient, "-t"], capture_output=True, check=False)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command + (lenient if known.returncode == 0 else []),
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def _settings(self) -> str:
        environment = {"HOME": self.home, "PATH": self._path}
        pairs = " ".join(f'"{name}={value}"' for name, value in environment.items())
        authorized = self.key.with_suffix(".pub")
        return f"""
ListenAddress {LOCALHOST}:{self.port}
HostKey {self.host_key}
AuthorizedKeysFile {authorized}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv {pairs}
{f"ForceCommand {self._wrapper}" if self._wrapper else ""}
"""

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((LOCALHOST, self.port), 1) as client:
                if client.recv(4) == b"SSH-":
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.005)
        raise RuntimeError(f"sshd does not answer: {self.log.read_text()}")

    def _sessions(self) -> list[psutil.Process]:
        """The processes of sshd that serve logins; what was asked for there is not among them."""
        if self._process is None:
            return []
        found = []
        with suppress(psutil.Error):
            for one in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if one.name().startswith("sshd"):
                        found.append(one)
        return found

    def drop(self) -> int:
        """Break every connection at once, as a pulled cable does; what runs there goes on."""
        sessions = self._sessions()
        for one in sessions:
            with suppress(psutil.Error):
                one.kill()
        return len(sessions)

    def silence(self) -> int:
        """Let every connection stay, without an answer: a radio link that is gone."""
        sessions = self._sessions()
        for one in sessions:
            with suppress(psutil.Error):
                one.suspend()
        return len(sessions)

    def pause(self) -> None:
        """Answer no new connection: a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    @contextmanager
    def half_open(self) -> Iterator[None]:
        """Meanwhile one client is connected that does not log in."""
        greeting = b""
        while greeting != b"SSH-":
            # Those that came before may count for a moment.
            with socket.create_connection((LOCALHOST, self.port)) as client:
                greeting = client.recv(4)
                if greeting == b"SSH-":
                    yield

    def stop(self) -> None:
        """Listen no more, and break every connection: a device that is switched off."""
        if self._process is not None:
            sessions = self._sessions()
            self._process.kill()
            self._process.wait()
            for one in sessions:
                with suppress(psutil.Error):
                    one.kill()
        self._process = None

    def __exit__(self, *_: object) -> None:
        self.stop()


def _word(value: object) -> str:
    """A value for ssh_config. A path may hold blanks; to ProxyJump quotes are a part of a name."""
    return f'"{value}"' if isinstance(value, Path) else str(value)


class Link:
    """A port that leads to another with at most ``rate`` bytes a second in each direction.

    ``carried`` are the bytes that went to the server.
    """

    def __init__(self, target: int, rate: float) -> None:
        self._target, self._rate = target, rate
        self._server = socket.create_server((LOCALHOST, 0))
        self.port = int(self._server.getsockname()[1])
        self.carried = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection((LOCALHOST, self._target))
                for source, sink in ((near, far), (far, near)):
                    # What waits in the system's buffers is a part of the link that is not slow.
                    sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                    counted = source is near
                    threading.Thread(
                        target=self._carry, args=(source, sink, counted), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        due = time.monotonic()
        with suppress(OSError):
            while data := source.recv(1 << 14):
                due = max(due, time.monotonic()) + len(data) / self._rate
                sink.sendall(data)
                self.carried += len(data) if counted else 0
                time.sleep(max(0.0, due - time.monotonic()))
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()


def slow_link(port: int, rate: float) -> closing[Link]:
    """A :class:`Link` to a port of this host; leaving it closes it."""
    return closing(Link(port, rate))
