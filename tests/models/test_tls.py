"""TLS towards the cloud: whose certificates are believed, what is shown, and that nothing leaves without."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, Made
from clouds import KEY, SECRET, chat, everything, text_of
from outbounds import send

from netgpt.errors import ModelError, SettingsError
from netgpt.models.base import Endpoint, Trust, without_receipt
from netgpt.models.client import CloudModel
from netgpt.models.transport import trusted_certificates
from netgpt.settings import Settings
from netgpt.settings.sections import Cloud, Edge, Server
from netgpt.testing.server import FaultyCloud


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def model(base_url: str, trust: Trust) -> CloudModel:
    return CloudModel(
        "cloud", Endpoint(base_url.replace("http:", "https:"), KEY, trust), timeout_s=30, connect_timeout_s=30,
        retries=0, max_connections=2, breaker_failures=50, breaker_reset_s=1, receipt_hook=without_receipt,
    )  # fmt: skip


def over_tls(made: Made, client_ca: Path | None = None) -> FaultyCloud:
    cloud = FaultyCloud("over TLS")
    cloud.tls = made.server(client_ca)
    return cloud


async def refused(base_url: str, trust: Trust) -> str:
    far = model(base_url, trust)
    with pytest.raises(ModelError) as caught:
        await everything(send(far, chat()))
    await far.close()
    return caught.value.message


async def test_an_own_authority_is_believed_and_no_other(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    with over_tls(authority.make("cloud", "127.0.0.1")) as cloud:
        far = model(cloud.base_url, Trust(authority.ca))
        assert await text_of(send(far, chat())) == "over TLS"
        await far.close()
        assert "authority is not known" in await refused(cloud.base_url, Trust(stranger.ca))
        assert "authority is not known here; an own authority is named with cloud.ca_file" in await refused(
            cloud.base_url, Trust()
        )
        assert len(cloud.received) == 1


@pytest.mark.parametrize(
    ("name", "hosts", "options", "output"),
    [
        ("expired", ["127.0.0.1"], {"days": (-9, -1)}, "it has expired"),
        ("early", ["127.0.0.1"], {"days": (1, 9)}, "it is not valid yet"),
        ("elsewhere", ["127.0.0.2"], {}, "it is for another address"),
        ("named", ["cloud.example"], {}, "it is for another address"),
        ("own", ["127.0.0.1"], {"own": True}, "signed by itself"),
    ],
)
async def test_a_certificate_that_is_not_right_gets_nothing(
    authority: Authority, name: str, hosts: list[str], options: dict[str, Any], output: str
) -> None:
    with over_tls(authority.make(name, *hosts, **options)) as cloud:
        message = await refused(cloud.base_url, Trust(authority.ca))
        assert output in message and KEY not in message and SECRET not in message
        assert cloud.received == []
        assert SECRET.encode() not in cloud.all_bytes() and KEY.encode() not in cloud.all_bytes()


async def test_a_name_that_is_not_the_servers(authority: Authority) -> None:
    with over_tls(authority.make("cloud", "cloud.example")) as cloud:
        message = await refused(cloud.base_url.replace("127.0.0.1", "localhost"), Trust(authority.ca))
        assert "it is for another name" in message and cloud.received == []


async def test_a_client_certificate_is_shown_where_it_is_asked_for(authority: Authority, tmp_path: Path) -> None:
    ours, strange = authority.make("box"), Authority(tmp_path, "stranger").make("strange")
    with over_tls(authority.make("cloud", "127.0.0.1"), client_ca=authority.ca) as cloud:
        far = model(cloud.base_url, Trust(authority.ca, ours.cert, ours.key))
        assert await text_of(send(far, chat())) == "over TLS"
        await far.close()
        for trust in (Trust(authority.ca), Trust(authority.ca, strange.cert, strange.key)):
            assert "hung up" in await refused(cloud.base_url, trust)
        assert len(cloud.received) == 1


@pytest.mark.parametrize("shown", ["none", "a stranger's"])
async def test_a_server_that_says_why_it_hangs_up_is_repeated(authority: Authority, tmp_path: Path, shown: str) -> None:
    strange = Authority(tmp_path, "stranger").make("strange")
    trust = Trust(authority.ca, *((strange.cert, strange.key) if shown != "none" else ()))
    context = authority.make("cloud", "127.0.0.1").server(authority.ca)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            plain = listener.accept()[0]
            with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as secure:
                with suppress(ssl.SSLError):
                    secure.do_handshake()
                with socket.socket(fileno=os.dup(secure.fileno())) as below:
                    while below.recv(65536):  # reading to the end lets the last word arrive
                        pass

        thread = threading.Thread(target=shake_hands)
        thread.start()
        message = await refused(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", trust)
        thread.join(5)
    assert "cloud.client_cert" in message, message


async def test_plain_http_behind_an_https_address_gets_nothing(authority: Authority) -> None:
    with FaultyCloud() as cloud:
        assert "cannot be reached" in await refused(cloud.base_url, Trust(authority.ca))
        assert cloud.received == [] and SECRET.encode() not in cloud.all_bytes()


def test_wrong_files_are_reported_at_the_start(authority: Authority, tmp_path: Path) -> None:
    ours, other = authority.make("box"), authority.make("other")
    nothing = tmp_path / "nothing.pem"
    prose = tmp_path / "prose.pem"
    prose.write_text("not a certificate")
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for trust, output in (
        (Trust(nothing), "cloud.ca_file: .*nothing.pem: cannot be read"),
        (Trust(prose), "cloud.ca_file: .*prose.pem holds no PEM"),
        (Trust(broken), "cloud.ca_file: .*broken.pem holds no certificate"),
        (Trust(authority.ca, ours.cert), "go together"),
        (Trust(authority.ca, ours.cert, nothing), "cloud.client_key: .*cannot be read"),
        (Trust(authority.ca, ours.cert, other.key), "cloud.client_key is not the key of cloud.client_cert"),
    ):
        with pytest.raises(SettingsError, match=output):
            model("http://127.0.0.1:1/v1", trust)
    with pytest.raises(SettingsError, match="use https"):
        CloudModel(
            "cloud", Endpoint("http://127.0.0.1:1/v1", KEY, Trust(authority.ca)), timeout_s=1, connect_timeout_s=1,
            retries=0, max_connections=1, breaker_failures=1, breaker_reset_s=1, receipt_hook=without_receipt,
        )  # fmt: skip


def test_no_setting_turns_the_checks_off(authority: Authority) -> None:
    for trust in (Trust(), Trust(authority.ca)):
        context = trusted_certificates(trust)
        assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    words = ("insecure", "verify", "skip", "check_hostname", "self_signed")
    names = [name for section in (Settings, Server, Cloud, Edge) for name in section.model_fields]
    assert not [name for name in names if any(word in name for word in words)]
    source = "".join(path.read_text() for path in Path(__file__).parents[2].joinpath("src").rglob("*.py"))
    for off in ("CERT_NONE", "CERT_OPTIONAL", "check_hostname = False", "verify=False", "_create_unverified"):
        assert off not in source, off
