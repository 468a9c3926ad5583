"""Connections: used again, bounded, closed, never sent elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import orjson
import pytest
from clouds import IMPATIENT_S, PATIENT_S, Says, chat, cloud_model, edge_model, everything, text_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from outbounds import outbound, send
from patience import in_time, until

from netgpt.errors import ModelError, ModelMisconfigured, ModelRejected, ModelTimeout, ModelUnavailable, SettingsError
from netgpt.models.base import Endpoint, OutboundRequest, without_receipt
from netgpt.models.client import CloudModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Person, Sender


async def test_connections_are_used_again() -> None:
    with FaultyCloud() as cloud:
        model = cloud_model(cloud.base_url)
        for number in range(6):
            await everything(send(model, chat(stream=bool(number % 2))))
            assert len(cloud.connections) == 1
        await asyncio.gather(*(everything(send(model, chat())) for _ in range(30)))
        assert len(cloud.connections) <= 10
        await model.close()


async def test_waits_for_a_free_connection_only_so_long() -> None:
    leaving, never = asyncio.Event(), asyncio.Event()

    async def holds(_outbound_request: OutboundRequest) -> None:
        leaving.set()
        await never.wait()

    with FaultyCloud() as cloud:
        model = cloud_model(
            cloud.base_url, max_connections=1, breaker_failures=1, timeout_s=IMPATIENT_S, receipt_hook=holds
        )
        busy = asyncio.create_task(everything(send(model, chat(stream=True))))
        await leaving.wait()
        with pytest.raises(ModelUnavailable, match=r"raise cloud\.max_connections"):
            await everything(send(model, chat()))
        assert model.health().detail.endswith("(breaker closed)")
        busy.cancel()
        await asyncio.wait({busy})
        await model.close()


async def test_a_restarted_server_is_found_again_over_a_kept_connection() -> None:
    with FaultyCloud() as cloud:
        model = edge_model(cloud.base_url)
        assert await text_of(model.chat(chat("one"))) == "one"
        cloud.stop()
        cloud.start()
        assert await text_of(model.chat(chat("two"))) == "two"
        await model.close()


class OneAnswerThenGone:
    """A server that keeps a connection for one answer, and closes it when the next request comes over it."""

    def __init__(self, keep_alive: str) -> None:
        self.keep_alive, self.connections = keep_alive, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        body = orjson.dumps({"choices": [{"index": 0, "message": {"content": "here"}, "finish_reason": "stop"}]})
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))  # type: ignore[index]
        message = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{self.keep_alive}\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + message.encode() + body)
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("keep_alive", ["", "Keep-Alive: timeout=1, max=100\r\n"])
async def test_a_kept_connection_that_closes_as_the_request_leaves_costs_no_try(keep_alive: str) -> None:
    served = OneAnswerThenGone(keep_alive)
    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = cloud_model(f"http://127.0.0.1:{port}/v1", retries=0)
        for number in range(5):
            assert len(await everything(send(model, chat()))) == 1
            assert served.connections == number + 1
        await model.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # both loops end with their sockets open
def test_one_model_serves_loop_after_loop() -> None:
    with FaultyCloud() as cloud:
        model = edge_model(cloud.base_url)
        for word in ("one", "two"):
            assert asyncio.run(text_of(model.chat(chat(word)))) == word
        del model
        gc.collect()


async def test_closing_under_an_answer_ends_it_with_an_error_of_ours() -> None:
    with FaultyCloud("word " * 400, delay_s=0.05) as cloud:
        model = cloud_model(cloud.base_url)
        reading = asyncio.create_task(everything(send(model, chat(stream=True))))
        await until(lambda: cloud.open_requests)
        await model.close()
        with pytest.raises(ModelError):
            await asyncio.wait_for(reading, PATIENT_S)


@pytest.mark.parametrize(
    "base_url", ["", "cloud.example/v1", "ftp://cloud.example/v1", "http://", "http://[oops/v1", "http://a b/v1"]
)
def test_a_wrong_address_is_a_settings_error(base_url: str) -> None:
    with pytest.raises(SettingsError, match=r"cloud\.base_url must be an HTTP address"):
        cloud_model(base_url)


def test_a_key_that_no_header_carries_is_a_settings_error_that_hides_it() -> None:
    for key in ("schlüssel", "two\nlines", "two words"):
        with pytest.raises(SettingsError, match=r"cloud\.api_key") as caught:
            CloudModel(
                "cloud", Endpoint("http://127.0.0.1:1/v1", key), timeout_s=1, connect_timeout_s=1, retries=0,
                max_connections=1, breaker_failures=1, breaker_reset_s=1, receipt_hook=without_receipt,
            )  # fmt: skip
        assert key not in str(caught.value)


@pytest.mark.slow
async def test_silence_is_a_timeout_and_a_dead_port_is_unavailable() -> None:
    with FaultyCloud(faults=["slow_first_byte"], slow_s=60) as cloud:
        model = cloud_model(cloud.base_url, retries=3, timeout_s=IMPATIENT_S)
        start = time.perf_counter()
        with pytest.raises(ModelTimeout, match=r"silent for 0\.4 s"):
            await everything(send(model, chat()))
        assert in_time(time.perf_counter() - start, 1)
    with pytest.raises(ModelUnavailable, match=r"cannot be reached: connection refused"):
        await everything(send(model, chat()))
    await model.close()


async def test_redirects_are_reported_and_not_followed() -> None:
    with FaultyCloud() as other, Says(b"", status=307, headers=f"location: {other.base_url}\r\n") as server:
        model = cloud_model(server.base_url)
        with pytest.raises(ModelError, match="a redirect, which is not followed"):
            await everything(send(model, chat()))
        await model.close()
    assert other.all_bytes() == b""


@pytest.mark.parametrize("status", [400, 418, 422])
async def test_a_refused_request_keeps_its_status(status: int) -> None:
    with Says(b"{}", status=status) as server:
        model = cloud_model(server.base_url, retries=2)
        with pytest.raises(ModelRejected) as caught:
            await everything(send(model, chat()))
        await model.close()
    assert caught.value.status == status
    assert len(server.requests) == 1


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyCloud() as cloud, FaultyCloud() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        model = cloud_model(cloud.base_url)
        await everything(send(model, chat()))
        await model.close()
    assert proxy.all_bytes() == b""


async def test_the_address_keeps_its_path_and_query() -> None:
    with FaultyCloud() as cloud:
        model = cloud_model(f"http://localhost:{cloud.port}/v1/?api-version=2")
        await everything(send(model, chat()))
        await model.close()
    assert cloud.received[0].path == "/v1/chat/completions?api-version=2"
    assert "api-version" not in repr(model) + model.health().detail


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, and a server's context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake cloud")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    public = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(secret + public)
    file.write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return file, context


@pytest.mark.parametrize("trusted", [False, True])
async def test_only_certificates_that_are_trusted_are(
    trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, context = _certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    cloud = FaultyCloud("over TLS")
    cloud.tls = context
    with cloud:
        model = cloud_model(cloud.base_url.replace("http:", "https:"))
        if trusted:
            assert await text_of(send(model, chat())) == "over TLS"
        else:
            with pytest.raises(ModelMisconfigured, match="TLS certificate was not accepted"):
                await everything(send(model, chat()))
            assert cloud.received == []
        await model.close()


async def test_what_leaves_once_does_not_leave_over_a_kept_connection() -> None:
    with FaultyCloud() as cloud:
        model = cloud_model(cloud.base_url)
        await everything(send(model, chat("one")))
        claimed = Sender(Person("north", "ada"), "ex_1", claim="wt_1.word")
        await everything(model.send(outbound(chat("two")), sender=claimed))
        assert len(cloud.connections) == 2, "the kept one may have died unseen, and it leaves once"
        await model.close()
