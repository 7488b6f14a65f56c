"""Ports of the loopback address at which a server is waited for."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from edgekit import loopback
from edgekit.loopback import LOOPBACK, PORTS, free_port, held_port

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def connects_to_itself(port: int) -> bool:
    """Ask for a port, from the one that the system may give: that same one."""
    with socket.socket() as client:
        client.bind((LOOPBACK, port))
        return client.connect_ex((LOOPBACK, port)) == 0


@pytest.mark.skipif(not RANGE.exists(), reason="Linux alone says which ports clients are given")
def test_a_client_that_waits_for_a_server_cannot_be_given_the_port_of_that_server() -> None:
    port = free_port()
    # What would happen else, with no server anywhere: adb then answers itself.
    assert connects_to_itself(port)
    assert port < int(RANGE.read_text().split()[0])


def test_ports_held_together_are_different_and_free_afterwards() -> None:
    with contextlib.ExitStack() as held:
        ports = [held.enter_context(held_port()) for _ in range(20)]
        assert len(set(ports)) == 20
        assert set(ports) <= set(PORTS)
    with socket.create_server((LOOPBACK, ports[0])):
        pass


def test_where_all_are_taken_any_free_port_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        monkeypatch.setattr(loopback, "PORTS", [taken.getsockname()[1]] * loopback.TRIES)
        assert free_port() != taken.getsockname()[1]
