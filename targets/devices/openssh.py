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
        options = subprocess.run(
            [*self.client, "-G", *self.destination],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
        jumps = re.search(r"^proxyjump (?!none$)(.+)$", options.stdout, re.MULTILINE)
        return jumps[1].split(",") if jumps else []


@dataclass(frozen=True)
class LoginFailure:
    """What ssh wrote about a login that failed, and the match in it that tells the cause."""

    login: Login
    text: str
    match: re.Match[str]

    @property
    def address(self) -> str:
        """The device's address."""
        return self.login.address

    @property
    def on_the_way(self) -> bool:
        """Whether it was a jump host, or another way there, that failed."""
        return PIPE in self.text

    def search(self, pattern: str) -> re.Match[str] | None:
        """Find a pattern anywhere in the text."""
        return re.search(pattern, self.text, re.MULTILINE)


def failure(login: Login, text: str) -> DeviceError:
    """Tell why a login failed, or ended, from what ssh wrote."""
    for pattern, explain in CAUSES:
        match = re.search(pattern, text, re.MULTILINE)
        if match is not None:
            return explain(LoginFailure(login, text, match))
    hint = f"see more with: {login.line('-v')}"
    if shown := _text(text):
        hint = f"ssh said: {shown}\n{hint}"
    return DeviceError("EK-DEVICE-049", f"{login.address}: ssh did not get through", hint)


def _text(text: str) -> str:
    """Return the last lines of what ssh wrote that matter."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not NOISE.match(line) and PIPE not in line]
    return "; ".join(kept[-SHOWN:])


def _changed(failed: LoginFailure) -> DeviceError:
    remove = failed.search(r"^\s*(ssh-keygen -f .+ -R .+)$")
    named = failed.search(r"^Host key for (\S+) has changed")
    host = named[1] if named else failed.login.destination[-1].rpartition("@")[2]
    forget = remove[1].strip() if remove else shlex.join(["ssh-keygen", "-R", host])
    hint = (
        "either the device was set up anew, or another machine answers under its name. If you know"
        f" that it was set up anew, forget the old key:\n  {forget}\n"
        f"and accept the new one, once its fingerprint is the device's own:\n{_accept(failed)}"
    )
    return DeviceError(
        "EK-DEVICE-042", f"{failed.address}: the host key of {host} has changed", hint
    )


def _revoked(failed: LoginFailure) -> DeviceError:
    hint = "your ssh configuration lists the key as revoked (RevokedHostKeys): give it a new one"
    return DeviceError("EK-DEVICE-042", f"{failed.address}: its host key is revoked", hint)


def _unknown(failed: LoginFailure) -> DeviceError:
    named = failed.search(r"^No \S+ host key is known for (\S+)")
    whose = f"the host key of {named[1]}" if named else "its host key"
    if failed.on_the_way and not named:
        whose = "the host key of a jump host on the way there"
    hint = (
        "see its fingerprint and accept it once, if it is the device's own"
        f" (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub):\n{_accept(failed)}\n"
        "where nobody can answer, accept-new instead of ask takes any key the first time"
    )
    return DeviceError("EK-DEVICE-041", f"{failed.address}: {whose} is not known here", hint)


def _accept(failed: LoginFailure) -> str:
    """Return the commands that accept the host keys in question, one a line."""
    ask = "-oStrictHostKeyChecking=ask"
    if not failed.on_the_way:
        return f"  {failed.login.line(ask)}"
    # ssh does not hand the option on to its jump hosts: each is logged in to by itself.
    lines, jumps = [], failed.login.jumps()
    for number, hop in enumerate(jumps):
        through = ["-J", ",".join(jumps[:number])] if number else []
        target = hop if hop.startswith("ssh://") else f"ssh://{hop}"
        lines.append(f"  {failed.login.line(ask, *through, destination=[target])}")
    return "\n".join(lines) or f"  {failed.login.line(ask)}"


def _denied(failed: LoginFailure) -> DeviceError:
    who, methods = failed.match["who"].rpartition(": ")[2], failed.match["methods"]
    lines = [f"the device takes: {methods}; edgekit logs in with keys only, and asks nothing"]
    if open_key := failed.search(r'^Load key "(.+)": bad permissions'):
        lines += ["the key is ignored, because others may read it:"]
        lines += [f"  {shlex.join(['chmod', '600', open_key[1]])}"]
    elif {"password", "keyboard-interactive"} & set(methods.split(",")):
        lines += ["put your key there, once:"]
        lines += [f"  {shlex.join(['ssh-copy-id', *failed.login.destination])}"]
    else:
        lines += ["put your public key (ssh-keygen makes one) into ~/.ssh/authorized_keys there"]
    lines += ["a key with a passphrase has to be in an agent (ssh-add). Which keys were tried:"]
    lines += [f"  {failed.login.line('-v')}"]
    message = f"{failed.address}: {who} may not log in: permission denied"
    return DeviceError("EK-DEVICE-043", message, "\n".join(lines))


def _too_many(failed: LoginFailure) -> DeviceError:
    hint = (
        "ssh offered so many keys that the device hung up. Name the right one in ~/.ssh/config:\n"
        "  IdentityFile ~/.ssh/KEY\n  IdentitiesOnly yes"
    )
    message = f"{failed.address}: too many keys were tried: permission denied"
    return DeviceError("EK-DEVICE-043", message, hint)


def _through(failed: LoginFailure) -> DeviceError:
    hint = (
        f"it can be reached itself, but said: {failed.match[1]}\n"
        f"see whether the device is on, and whether its name and port are right as seen from there"
    )
    return DeviceError("EK-DEVICE-047", f"{failed.address}: the jump host does not reach it", hint)


def _jump(failed: LoginFailure) -> DeviceError:
    jumps = failed.login.jumps()
    names = f"jump host {', '.join(jumps)}" if jumps else "ProxyCommand"
    hint = f"the way there is in your ssh configuration ({names}). ssh said: {_text(failed.text)}"
    return DeviceError("EK-DEVICE-047", f"{failed.address}: the way there is closed", hint)


def _no_host(failed: LoginFailure) -> DeviceError:
    if failed.on_the_way:
        return _jump(failed)
    hint = (
        f"{failed.match[2]}. It is neither a name that this network knows nor a Host of"
        " ~/.ssh/config: check the spelling, or give its IP address; NAME.local needs mDNS here"
    )
    message = f"{failed.address}: there is no host {failed.match[1]}"
    return DeviceError("EK-DEVICE-044", message, hint)


def _not_connected(failed: LoginFailure) -> DeviceError:
    if failed.on_the_way:
        return _jump(failed)
    host, port, why = failed.match.groups()
    if "refused" in why:
        hint = (
            f"the machine is there, but no sshd answers at port {port}. Start it there (Debian:"
            " apt-get install openssh-server; Raspberry Pi OS: raspi-config, Interface Options,"
            " SSH), or name its port: ssh://HOST:PORT"
        )
        message = f"{failed.address}: {host} refused the connection at port {port}"
        return DeviceError("EK-DEVICE-045", message, hint)
    hint = f"{why}. Is the device switched on, and in this network? A firewall may drop port {port}"
    return DeviceError("EK-DEVICE-046", f"{failed.address}: {host} does not answer", hint)


def _timed_out(failed: LoginFailure) -> DeviceError:
    if failed.on_the_way:
        return _jump(failed)
    hint = f"ssh said: {_text(failed.text)}\nis the device switched on, awake, and in this network?"
    return DeviceError("EK-DEVICE-046", f"{failed.address}: it does not answer", hint)


def _closed(failed: LoginFailure) -> DeviceError:
    if failed.on_the_way:
        return _jump(failed)
    hint = (
        f"ssh said: {_text(failed.text)}\nthe device restarts, its network went away, or its sshd"
        " takes no more logins (MaxStartups, an address that is banned for a while); its log tells"
        " (there: journalctl -u ssh)"
    )
    return DeviceError("EK-DEVICE-048", f"{failed.address}: the connection was closed", hint)


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
