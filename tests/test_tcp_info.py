"""The kernel's structure, from a real connection and from bytes that are none."""

from __future__ import annotations

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.types import kernel_facts, read_tcp_info


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is read on Linux alone")
def test_a_real_connection_tells_of_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            for _ in range(5):
                near.sendall(b"x" * 1000)
                far.recv(1000)
            facts = kernel_facts(near)
    assert facts is not None
    assert 0 < facts.rtt_s < 0.5
    assert 0 < facts.least_rtt_s <= facts.rtt_s + facts.rtt_var_s * 4
    assert facts.segments == 5
    assert (facts.retransmits, facts.backoff) == (0, 0)


def test_a_closed_socket_and_none_tell_nothing() -> None:
    sock = socket.socket()
    sock.close()
    assert kernel_facts(sock) is None
    assert kernel_facts(None) is None


@given(st.binary(max_size=167))
def test_less_than_the_structure_tells_nothing(raw: bytes) -> None:
    assert read_tcp_info(raw) is None


@given(st.binary(min_size=168, max_size=300))
def test_any_bytes_of_its_size_are_read(raw: bytes) -> None:
    facts = read_tcp_info(raw)
    assert facts is not None
    assert facts.rtt_s >= 0
    assert facts.delivery_bytes_s is None or facts.delivery_bytes_s > 0
