"""TLS of the gateway: files checked at the start, old TLS refused, callers' certificates demanded."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from certificates import Authority
from cryptography.hazmat.primitives import serialization
from serving import Served

from netgpt.app.tls import server_tls
from netgpt.errors import SettingsError
from netgpt.settings.sections import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_plain_http_without_certificate() -> None:
    assert server_tls(Server()) == (None, [])


def test_a_right_pair_speaks_tls_1_2_or_newer(authority: Authority) -> None:
    made = authority.make("box", "localhost")
    context, remarks = server_tls(Server(tls_cert=made.cert, tls_key=made.key))
    assert context is not None and context.minimum_version is ssl.TLSVersion.TLSv1_2 and remarks == []
    assert context.verify_mode is ssl.VerifyMode(0)
    context, _ = server_tls(Server(tls_cert=made.cert, tls_key=made.key, tls_client_ca=authority.ca))
    assert context is not None and context.verify_mode is ssl.CERT_REQUIRED


def test_errors_name_setting_and_file(authority: Authority, tmp_path: Path) -> None:
    gateway, other = authority.make("box", "localhost"), authority.make("other", "localhost")
    old, early = authority.make("old", days=(-9, -1)), authority.make("early", days=(1, 9))
    missing, prose = tmp_path / "missing.pem", tmp_path / "prose.pem"
    prose.write_text("nothing of the kind")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(gateway.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for settings, fault in (
        (Server(tls_cert=gateway.cert), "tls_cert and server.tls_key go together"),
        (Server(tls_client_ca=authority.ca), "tls_client_ca needs"),
        (Server(tls_cert=missing, tls_key=gateway.key), "server.tls_cert: .*missing.pem: cannot be read: No such file"),
        (Server(tls_cert=gateway.cert, tls_key=missing), "server.tls_key: .*missing.pem: cannot be read"),
        (Server(tls_cert=prose, tls_key=gateway.key), "server.tls_cert: .*prose.pem holds no PEM"),
        (Server(tls_cert=gateway.key, tls_key=gateway.key), "server.tls_cert: .*box.key holds no certificate"),
        (Server(tls_cert=gateway.cert, tls_key=gateway.cert), "server.tls_key: .*box.crt holds no private key"),
        (Server(tls_cert=gateway.cert, tls_key=other.key), "other.key is not the key of the certificate in .*box.crt"),
        (Server(tls_cert=old.cert, tls_key=old.key), r"old.crt expired on \d{4}-\d\d-\d\d; renew it"),
        (Server(tls_cert=early.cert, tls_key=early.key), "early.crt is not valid before"),
        (Server(tls_cert=gateway.cert, tls_key=locked), "locked.key has a passphrase"),
        (
            Server(tls_cert=gateway.cert, tls_key=gateway.key, tls_client_ca=gateway.key),
            "tls_client_ca: .*holds no certificate",
        ),
    ):
        with pytest.raises(SettingsError, match=fault):
            server_tls(settings)


def test_a_key_that_others_can_read_and_a_near_end_are_reported(authority: Authority) -> None:
    made = authority.make("box", "localhost", days=(-1, 30))
    made.key.chmod(0o644)
    soon = datetime.now(UTC) + timedelta(days=20)
    _, remarks = server_tls(Server(tls_cert=made.cert, tls_key=made.key), soon)
    assert "expires on" in remarks[0] and "chmod 600" in remarks[1] and "644" in remarks[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_over_https_with_callers_certificates(authority: Authority, tmp_path: Path) -> None:
    gateway, caller = authority.make("box", "127.0.0.1"), authority.make("caller")
    strange = Authority(tmp_path, "stranger").make("strange")
    files = {
        "server__tls_cert": str(gateway.cert),
        "server__tls_key": str(gateway.key),
        "server__tls_client_ca": str(authority.ca),
        "server__max_connections": "16",
    }
    served = Served(tmp_path / "home", cloud=None, edge_url=None, **files)
    served.verify = _believing(authority.ca, caller.cert, caller.key)
    with served:
        assert served.url.startswith("https://")
        assert httpx.get(f"{served.url}/healthz", verify=served.verify, timeout=60).json() == {"status": "ok"}
        answer = httpx.post(
            f"{served.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "hello"}]},
            verify=served.verify, timeout=30,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        for context in (_believing(authority.ca), _believing(authority.ca, strange.cert, strange.key)):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{served.url}/healthz", verify=context, timeout=60)
        old = _believing(authority.ca, caller.cert, caller.key)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{served.url}/healthz", verify=old, timeout=60)
        with pytest.raises(httpx.TransportError):
            httpx.get(served.url.replace("https", "http") + "/healthz", timeout=60)
        with contextlib.ExitStack() as silent:  # more handshakes that never end than there are places
            for _ in range(40):
                silent.enter_context(socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))))
            assert httpx.get(f"{served.url}/healthz", verify=served.verify, timeout=60).json() == {"status": "ok"}
            with contextlib.ExitStack() as later:
                for _ in range(16):
                    later.enter_context(socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))))
                assert httpx.get(f"{served.url}/healthz", verify=served.verify, timeout=60).json() == {"status": "ok"}
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(60) in (0, 130)
        assert "NetGPT stops" in served.log()


def _believing(authority: Path, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


def test_a_wrong_pair_ends_serve_with_a_plain_word(authority: Authority, tmp_path: Path) -> None:
    gateway, other = authority.make("box", "localhost"), authority.make("other", "localhost")
    served = Served(tmp_path / "home", server__tls_cert=str(gateway.cert), server__tls_key=str(other.key))
    with pytest.raises(AssertionError, match="is not the key of the certificate") as caught:
        served.__enter__()
    assert "Traceback" not in str(caught.value)
