"""Addresses of ssh, its command line under every login shell, and what its failures come out as."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from ssh_server import LOCALHOST, SshServer, needs_sshd

from edgekit.errors import DeviceError, DeviceNameError
from edgekit.targets.devices import names
from edgekit.targets.devices.transports.ssh import VARIABLE, SshConnection, quoted

HARD = r"""a 'single' "double" `tick` $HOME $(id) !! ! \ \\ \n \' % %s * ? ~ ; & | < > # { } [ ]
	tab, line end, ü, 日本, 🍓 ^ =x """
# Programs that may be a login shell, with the package that has them.
SHELLS = {"dash": "dash", "bash": "bash", "zsh": "zsh", "tcsh": "tcsh", "fish": "fish"}
SECONDS = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture
def server(folder: Path) -> Iterator[SshServer]:
    needs_sshd()
    with SshServer(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def by_its_own_configuration(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "server" in request.fixturenames:
        for name, value in request.getfixturevalue("server").environment.items():
            monkeypatch.setenv(name, value)


def said(address: str, script: str = "exit 7") -> tuple[int, str]:
    """The status of a command over ssh, and what it wrote."""
    connection = SshConnection(address)
    done = subprocess.run(
        connection.command(script),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=connection.environment(),
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout


def failed(address: str) -> DeviceError:
    """Why a login failed."""
    error = SshConnection(address).failure(*said(address))
    assert error is not None
    assert error.exit_code == 3
    assert address in error.message
    return error


@pytest.mark.parametrize(
    ("address", "destination", "folder"),
    [
        ("ssh://board", ["board"], ".edgekit"),
        ("ssh://pi@board/", ["pi@board"], ".edgekit"),
        ("ssh://pi@board:2222", ["-p", "2222", "pi@board"], ".edgekit"),
        ("ssh://board/data/edge%20kit", ["board"], "/data/edge kit"),
        ("ssh://board/data/%C3%BCber", ["board"], "/data/über"),
        ("ssh://board/data/über", ["board"], "/data/über"),
        ("ssh://board/~/models/x/", ["board"], "models/x"),
        ("ssh://pi@[fe80::1%eth0]:22/x", ["-p", "22", "pi@fe80::1%eth0"], "/x"),
        ("ssh://[::1]", ["::1"], ".edgekit"),
        ("ssh://me@corp.example@bastion", ["me@corp.example@bastion"], ".edgekit"),
        ("ssh://CORP%5Cme@board", ["CORP\\me@board"], ".edgekit"),
        ("ssh://my_board-2.local", ["my_board-2.local"], ".edgekit"),
    ],
)
def test_address_names_user_host_port_and_folder(
    address: str, destination: list[str], folder: str
) -> None:
    connection = SshConnection(address)
    assert connection.folder == folder
    assert connection.address == address
    command = connection.command("true")
    assert command[-1 - len(destination) : -1] == destination


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ssh://", "the form"),
        ("ssh:///folder", "the form"),
        ("ssh://pi:secret@board", "a password has no place"),
        ("ssh://board:0", "the form"),
        ("ssh://board:65536", "the form"),
        ("ssh://board:port", "the form"),
        ("ssh://::1", "[HOST] for an IPv6"),
        ("ssh://-oProxyCommand=id", "the form"),
        ("ssh://a b", "the form"),
        ("ssh://board;id", "the form"),
        ("ssh://-l@board", "not a name of a user"),
        ("ssh://%2Doption@board", "not a name of a user"),
        ("ssh://$(id)@board", "not a name of a user"),
        ("ssh://board/~", "below the home folder"),
        ("ssh://board/~/../..", "name it in full"),
        ("ssh://board/data/./x", "name it in full"),
        ("ssh://board/a%0Ab", "not a folder"),
        ("ssh://board/a%00b", "not a folder"),
    ],
)
def test_address_that_is_malformed_is_an_error_without_a_connection(address: str, why: str) -> None:
    with pytest.raises(DeviceNameError) as caught:
        names.parse(address)
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-012", 2)
    assert why in caught.value.hint


def test_name_may_choose_a_runtime_or_a_release_after_the_address() -> None:
    assert names.parse("ssh://pi@board/x#litert").address == "ssh://pi@board/x"
    assert names.parse("ssh://pi@board#tflite-runtime==2.14.0").version == "2.14.0"
    with pytest.raises(DeviceNameError):
        names.parse("ssh://pi@board#tflm")


@pytest.mark.parametrize("shell", [*SHELLS, "csh", "sh", "busybox"])
def test_script_runs_as_it_is_under_every_login_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        package = SHELLS.get(shell, "busybox-static" if shell == "busybox" else shell)
        pytest.skip(f"{shell} is not installed (Debian, Ubuntu: apt install {package})")
    script = f"printf %s {shlex.quote(HARD)}; cat; echo $#-$0; exit 7\n"
    command = [program, "sh"] if shell == "busybox" else [program]
    # A word that is longer than what csh once took.
    for longer in ("", f": {'word ' * 4000}\n"):
        done = subprocess.run(
            [*command, "-c", quoted(longer + script)],
            input=b"\x00in\xff",
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"},
            check=False,
        )
        assert done.stdout.startswith(HARD.encode() + b"\x00in\xff0-"), done
        assert done.returncode == 7


def test_command_reaches_the_server_and_carries_bytes_and_status(server: SshServer) -> None:
    connection = SshConnection(server.address())
    sent = bytes(range(256)) * 1000
    done = subprocess.run(
        connection.command("cat; echo 'not reached' >&2; exit 7"),
        input=sent,
        capture_output=True,
        env=connection.environment(),
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.stderr, done.returncode) == (sent, b"not reached\n", 7)
    assert connection.failure(done.returncode, done.stderr.decode()) is None


def test_configuration_of_ssh_counts(server: SshServer) -> None:
    """An alias with user, port, key; a command of its own and a port it forwards do not disturb."""
    server.configure(RemoteCommand="false", RequestTTY="force", LocalForward=f"{server.port} x:1")
    assert said("ssh://board") == (7, "")
    server.configure(host="board", ProxyJump="nowhere.invalid")
    assert "nowhere.invalid" in said("ssh://board")[1]


def test_nothing_is_forwarded_and_nothing_asked(server: SshServer) -> None:
    settings = effective(server)
    assert settings["batchmode"] == "yes"
    for name in ("forwardagent", "forwardx11", "requesttty"):
        assert settings[name] in ("no", "false")
    assert float(settings["serveraliveinterval"]) * float(settings["serveralivecountmax"]) <= 15


def test_options_of_the_variable_win(server: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    command = server.environment[VARIABLE]
    monkeypatch.setenv(VARIABLE, f"{command} -o ConnectTimeout=77")
    assert effective(server)["connecttimeout"] == "77"


def effective(server: SshServer) -> Mapping[str, str]:
    """The settings that ssh uses, by its own account."""
    command = SshConnection(server.address()).command("true")
    asked = subprocess.run([*command[:-1], "-G"], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)


def commands(error: DeviceError) -> list[str]:
    """The command lines in a hint: the lines that are indented."""
    return [line.strip() for line in error.hint.splitlines() if line.startswith("  ")]


def answering_yes(command: str) -> int:
    """Run a command on a terminal of its own, and say yes; its status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", command])  # noqa: S606
    text = b""
    try:
        while data := os.read(terminal, 1024):
            text += data
            if b"fingerprint])?" in text:
                os.write(terminal, b"yes\n")
                text = b""
    except OSError:
        # The terminal ends with the last process that has it.
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("checking", ["ask", "yes"])
def test_unknown_host_is_refused_with_the_command_that_accepts_it(
    server: SshServer, checking: str
) -> None:
    server.known_hosts.write_text("")
    server.configure(StrictHostKeyChecking=checking)
    error = failed(server.address())
    assert error.code == "EK-DEVICE-041"
    assert server.known_hosts.read_text() == ""
    (accept,) = commands(error)
    assert answering_yes(accept) == 0
    assert said(server.address()) == (7, "")


def test_unknown_host_can_be_accepted_where_nobody_answers(server: SshServer) -> None:
    server.known_hosts.write_text("")
    error = failed(server.address())
    assert "accept-new instead of ask" in error.hint
    (accept,) = commands(error)
    command = shlex.split(accept.replace("=ask", "=accept-new"))
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    assert said(server.address()) == (7, "")


def test_changed_host_key_is_refused_with_the_commands_that_accept_it(server: SshServer) -> None:
    other = server.key.with_suffix(".pub").read_text()
    server.known_hosts.write_text(f"[{LOCALHOST}]:{server.port} {other}")
    error = failed(server.address())
    assert error.code == "EK-DEVICE-042"
    assert "another machine answers under its name" in error.hint
    forget, accept = commands(error)
    subprocess.run(shlex.split(forget), check=True, capture_output=True)
    assert answering_yes(accept) == 0
    assert said(server.address()) == (7, "")


def test_wrong_key_is_an_error_that_says_how_to_log_in(server: SshServer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong], check=True)
    server.configure(IdentityFile=wrong)
    error = failed(server.address())
    assert error.code == "EK-DEVICE-043"
    assert f"{server.user}@{LOCALHOST} may not log in" in error.message
    assert "authorized_keys" in error.hint
    tried = subprocess.run(shlex.split(commands(error)[-1]), capture_output=True, text=True)
    assert f"Offering public key: {wrong}" in tried.stderr


def test_key_that_others_may_read_is_an_error_that_says_so(server: SshServer) -> None:
    server.key.chmod(0o644)
    try:
        error = failed(server.address())
        assert error.code == "EK-DEVICE-043"
        subprocess.run(shlex.split(commands(error)[0]), check=True)
        assert said(server.address()) == (7, "")
    finally:
        server.key.chmod(0o600)


def test_host_that_is_not_there_is_an_error(server: SshServer) -> None:
    error = failed("ssh://no-such-board.invalid")
    assert error.code == "EK-DEVICE-044"
    assert "there is no host no-such-board.invalid" in error.message


def test_connection_that_is_refused_is_an_error(server: SshServer) -> None:
    server.stop()
    error = failed(server.address())
    assert error.code == "EK-DEVICE-045"
    assert f"at port {server.port}" in error.message


def test_host_that_does_not_answer_is_an_error_in_time(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = server.environment[VARIABLE]
    monkeypatch.setenv(VARIABLE, f"{command} -o ConnectTimeout={SECONDS}")
    server.pause()
    error = failed(server.address())
    assert error.code == "EK-DEVICE-046"
    assert "does not answer" in error.message


@pytest.mark.parametrize("fault", ["refused", "not beyond", "unknown key", "not found"])
def test_jump_host_that_fails_is_an_error_that_says_where(server: SshServer, fault: str) -> None:
    jump = {"refused": "localhost:1", "not found": "no-such-jump.invalid"}.get(fault, "board")
    server.configure(host="far", HostName=LOCALHOST, Port=1, ProxyJump=jump)
    if fault == "unknown key":
        server.known_hosts.write_text("")
    error = failed("ssh://far")
    expected = "EK-DEVICE-041" if fault == "unknown key" else "EK-DEVICE-047"
    assert error.code == expected
    if fault == "unknown key":
        assert "a jump host on the way" in error.message
        assert answering_yes(commands(error)[0]) == 0
        assert failed("ssh://far").code == "EK-DEVICE-047"
    elif fault == "not beyond":
        assert "the jump host does not reach it" in error.message
        assert "Connection refused" in error.hint
    else:
        assert jump in error.hint


def test_login_that_is_closed_is_an_error(server: SshServer) -> None:
    """By a server that takes no more logins."""
    server.stop()
    server.start("-oMaxStartups=1:100:1")
    with server.half_open():
        error = failed(server.address())
    assert error.code == "EK-DEVICE-048"


@pytest.mark.parametrize(
    ("command", "why"),
    [("no-such-ssh -v", "no program no-such-ssh"), ("ssh -o 'x", "no closing quotation")],
)
def test_client_that_is_missing_is_an_error(
    command: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, command)
    with pytest.raises(DeviceError) as caught:
        SshConnection("ssh://board").command("true")
    assert (caught.value.code, caught.value.exit_code) == ("EK-DEVICE-040", 3)
    assert why in caught.value.message
    assert VARIABLE in f"{caught.value.message}{caught.value.hint}"


def test_client_that_is_not_installed_is_an_error_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        SshConnection("ssh://board").command("true")
    assert "openssh-client" in caught.value.hint


def test_anything_else_is_told_in_the_words_of_ssh(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{server.environment[VARIABLE]} -o NoSuchOption=1")
    error = failed(server.address())
    assert error.code == "EK-DEVICE-049"
    assert re.search(r"Bad configuration option: nosuchoption", error.hint)
