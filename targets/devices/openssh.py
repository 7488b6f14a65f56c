"""What OpenSSH's client says where it does not get through, as errors that say what to do.

Source of the texts: OpenSSH's own messages, at its log level INFO.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.errors import DeviceError

# ssh's own exit status (ssh(1)).
STATUS = 255
# What ssh calls the far end of a pipe: of a jump host, or a ProxyCommand.
PIPE = "UNKNOWN port 65535"
# Lines that say nothing about the cause.
NOISE = re.compile(r"@@|@ |debug\d: |Pseudo-terminal|Warning: Permanently added|\*\* ")
SHOWN = 6


@dataclass(frozen=True)
class Login:
    """Who was to be reached: the device's address, and the words of ``ssh`` and its destination."""

    address: str
    client: Sequence[str]
    destination: Sequence[str]

    def line(self, *options: str, destination: Sequence[str] = ()) -> str:
        """Return a command line for the user: a login that does nothing."""
        return shlex.join([*self.client, *options, *(destination or self.destination), "exit"])

    def jumps(self) -> list[str]:
        """Return the jump hosts on the way there, the nearest first, as ssh takes them."""
        asked = subprocess.run(
            [*self.client, "-G", *self.destination],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        found = re.search(r"^proxyjump (?!none$)(.+)$", asked.stdout, re.MULTILINE)
        return found[1].split(",") if found else []


@dataclass(frozen=True)
class LoginFailure:
    """What ssh said about a login, and where in it the cause was found."""

    login: Login
    text: str
    found: re.Match[str]

    @property
    def address(self) -> str:
        """The device's address."""
        return self.login.address

    @property
    def on_the_way(self) -> bool:
        """Whether it was a jump host, or another way there, that failed."""
        return PIPE in self.text

    def look(self, pattern: str) -> re.Match[str] | None:
        """Tell where else in the text a pattern is."""
        return re.search(pattern, self.text, re.MULTILINE)


def failure(login: Login, said: str) -> DeviceError:
    """Tell why a login failed, or ended, from what ssh said."""
    for pattern, explain in CAUSES:
        found = re.search(pattern, said, re.MULTILINE)
        if found is not None:
            return explain(LoginFailure(login, said, found))
    hint = f"see more with: {login.line('-v')}"
    if text := _text(said):
        hint = f"ssh said: {text}\n{hint}"
    return DeviceError("EK-DEVICE-049", f"{login.address}: ssh did not get through", hint)


def _text(said: str) -> str:
    """Return the lines of what was said that matter, the last ones."""
    lines = [line.strip() for line in said.splitlines()]
    kept = [line for line in lines if line and not NOISE.match(line) and PIPE not in line]
    return "; ".join(kept[-SHOWN:])


def _changed(said: LoginFailure) -> DeviceError:
    remove = said.look(r"^\s*(ssh-keygen -f .+ -R .+)$")
    named = said.look(r"^Host key for (\S+) has changed")
    host = named[1] if named else said.login.destination[-1].rpartition("@")[2]
    forget = remove[1].strip() if remove else shlex.join(["ssh-keygen", "-R", host])
    hint = (
        "either the device was set up anew, or another machine answers under its name. If you know"
        f" that it was set up anew, forget the old key:\n  {forget}\n"
        f"and accept the new one, once its fingerprint is the device's own:\n{_accept(said)}"
    )
    return DeviceError("EK-DEVICE-042", f"{said.address}: the host key of {host} has changed", hint)


def _revoked(said: LoginFailure) -> DeviceError:
    hint = "your ssh configuration lists the key as revoked (RevokedHostKeys): give it a new one"
    return DeviceError("EK-DEVICE-042", f"{said.address}: its host key is revoked", hint)


def _unknown(said: LoginFailure) -> DeviceError:
    named = said.look(r"^No \S+ host key is known for (\S+)")
    whose = f"the host key of {named[1]}" if named else "its host key"
    if said.on_the_way and not named:
        whose = "the host key of a jump host on the way there"
    hint = (
        "see its fingerprint and accept it once, if it is the device's own"
        f" (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub):\n{_accept(said)}\n"
        "where nobody can answer, accept-new instead of ask takes any key the first time"
    )
    return DeviceError("EK-DEVICE-041", f"{said.address}: {whose} is not known here", hint)


def _accept(said: LoginFailure) -> str:
    """Return the commands that accept the host keys in question, one a line."""
    ask = "-oStrictHostKeyChecking=ask"
    if not said.on_the_way:
        return f"  {said.login.line(ask)}"
    # ssh does not hand the option on to its jump hosts: each is logged in to by itself.
    lines, jumps = [], said.login.jumps()
    for number, hop in enumerate(jumps):
        through = ["-J", ",".join(jumps[:number])] if number else []
        target = hop if hop.startswith("ssh://") else f"ssh://{hop}"
        lines.append(f"  {said.login.line(ask, *through, destination=[target])}")
    return "\n".join(lines) or f"  {said.login.line(ask)}"


def _denied(said: LoginFailure) -> DeviceError:
    who, methods = said.found["who"].rpartition(": ")[2], said.found["methods"]
    lines = [f"the device takes: {methods}; edgekit logs in with keys only, and asks nothing"]
    if open_key := said.look(r'^Load key "(.+)": bad permissions'):
        lines += ["the key is ignored, because others may read it:"]
        lines += [f"  {shlex.join(['chmod', '600', open_key[1]])}"]
    elif {"password", "keyboard-interactive"} & set(methods.split(",")):
        lines += ["put your key there, once:"]
        lines += [f"  {shlex.join(['ssh-copy-id', *said.login.destination])}"]
    else:
        lines += ["put your public key (ssh-keygen makes one) into ~/.ssh/authorized_keys there"]
    lines += ["a key with a passphrase has to be in an agent (ssh-add). Which keys were tried:"]
    lines += [f"  {said.login.line('-v')}"]
    message = f"{said.address}: {who} may not log in: permission denied"
    return DeviceError("EK-DEVICE-043", message, "\n".join(lines))


def _too_many(said: LoginFailure) -> DeviceError:
    hint = (
        "ssh offered so many keys that the device hung up. Name the right one in ~/.ssh/config:\n"
        "  IdentityFile ~/.ssh/KEY\n  IdentitiesOnly yes"
    )
    message = f"{said.address}: too many keys were tried: permission denied"
    return DeviceError("EK-DEVICE-043", message, hint)


def _through(said: LoginFailure) -> DeviceError:
    hint = (
        f"it can be reached itself, but said: {said.found[1]}\n"
        f"see whether the device is on, and whether its name and port are right as seen from there"
    )
    return DeviceError("EK-DEVICE-047", f"{said.address}: the jump host does not reach it", hint)


def _jump(said: LoginFailure) -> DeviceError:
    jumps = said.login.jumps()
    names = f"jump host {', '.join(jumps)}" if jumps else "ProxyCommand"
    hint = f"the way there is in your ssh configuration ({names}). ssh said: {_text(said.text)}"
    return DeviceError("EK-DEVICE-047", f"{said.address}: the way there is closed", hint)


def _no_host(said: LoginFailure) -> DeviceError:
    if said.on_the_way:
        return _jump(said)
    hint = (
        f"{said.found[2]}. It is neither a name that this network knows nor a Host of"
        " ~/.ssh/config: check the spelling, or give its IP address; NAME.local needs mDNS here"
    )
    message = f"{said.address}: there is no host {said.found[1]}"
    return DeviceError("EK-DEVICE-044", message, hint)


def _not_connected(said: LoginFailure) -> DeviceError:
    if said.on_the_way:
        return _jump(said)
    host, port, why = said.found.groups()
    if "refused" in why:
        hint = (
            f"the machine is there, but no sshd answers at port {port}. Start it there (Debian:"
            " apt-get install openssh-server; Raspberry Pi OS: raspi-config, Interface Options,"
            " SSH), or name its port: ssh://HOST:PORT"
        )
        message = f"{said.address}: {host} refused the connection at port {port}"
        return DeviceError("EK-DEVICE-045", message, hint)
    hint = f"{why}. Is the device switched on, and in this network? A firewall may drop port {port}"
    return DeviceError("EK-DEVICE-046", f"{said.address}: {host} does not answer", hint)


def _timed_out(said: LoginFailure) -> DeviceError:
    if said.on_the_way:
        return _jump(said)
    hint = f"ssh said: {_text(said.text)}\nis the device switched on, awake, and in this network?"
    return DeviceError("EK-DEVICE-046", f"{said.address}: it does not answer", hint)


def _closed(said: LoginFailure) -> DeviceError:
    if said.on_the_way:
        return _jump(said)
    hint = (
        f"ssh said: {_text(said.text)}\nthe device restarts, its network went away, or its sshd"
        " takes no more logins (MaxStartups, an address that is banned for a while); its log tells"
        " (there: journalctl -u ssh)"
    )
    return DeviceError("EK-DEVICE-048", f"{said.address}: the connection was closed", hint)


# In this order: what comes first is the cause of what comes after.
CAUSES: Sequence[tuple[str, Callable[[LoginFailure], DeviceError]]] = (
    (r"REVOKED HOST KEY DETECTED|^Host key \S+ was revoked", _revoked),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|^Host key for \S+ has changed", _changed),
    (r"^Host key verification failed\.|^No \S+ host key is known for", _unknown),
    (r"Too many authentication failures", _too_many),
    (r"^(?P<who>.+): Permission denied \((?P<methods>[^)]*)\)", _denied),
    (r"^channel \d+: open failed: (.+)$", _through),
    (r"Could not resolve hostname (\S+?): (.+)$", _no_host),
    (r"connect to host (\S+) port (\d+): (.+?)\r?$", _not_connected),
    (r"[Tt]imed out|Timeout, server|No route to host|is unreachable", _timed_out),
    (
        r"kex_exchange_identification|Connection (?:to \S+ )?(?:closed|reset)|Broken pipe"
        r"|Received disconnect|Disconnected from",
        _closed,
    ),
)
