"""TLS of the gateway: certificate and key read and checked before the first caller comes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from netgpt.errors import SettingsError
from netgpt.files import read_bytes
from netgpt.settings.sections import Server

SOON: Final = timedelta(days=14)
"""A certificate with less left is reported at start."""


def server_tls(server: Server, now: datetime | None = None) -> tuple[ssl.SSLContext | None, list[str]]:
    """The context of `server.tls_*` (None: plain HTTP), and remarks for the owner.

    TLS 1.2 or newer. With `tls_client_ca`, callers without a certificate of that authority do not get as far as HTTP.
    Raises SettingsError that names the setting, the file and the fault.
    """
    if server.tls_cert is None and server.tls_key is None:
        if server.tls_client_ca is not None:
            raise SettingsError("server.tls_client_ca needs server.tls_cert and server.tls_key")
        return None, []
    if server.tls_cert is None or server.tls_key is None:
        raise SettingsError("server.tls_cert and server.tls_key go together: set both or none")
    certificate, key = server.tls_cert.expanduser(), server.tls_key.expanduser()
    remarks = _check_dates(_read(certificate, "server.tls_cert"), certificate, now or datetime.now(UTC))
    remarks += _check_private(key, _read(key, "server.tls_key"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(_key_fault(error, certificate, key)) from None
    if server.tls_client_ca is not None:
        _demand_certificates(context, server.tls_client_ca.expanduser())
    return context, remarks


def _read(file: Path, name: str) -> bytes:
    try:
        text = read_bytes(file, SettingsError)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error.message}") from None
    if b"-----BEGIN " not in text:
        raise SettingsError(f"{name}: {file} holds no PEM (it should begin with -----BEGIN ...)")
    return text


def _check_dates(pem: bytes, file: Path, now: datetime) -> list[str]:
    """Raises SettingsError: not a certificate, expired, or not valid yet. Remark: it expires soon."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise SettingsError(f"server.tls_cert: {file} holds no certificate that can be read") from None
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends:
        raise SettingsError(f"server.tls_cert: the certificate in {file} expired on {ends:%Y-%m-%d}; renew it")
    if now < begins:
        raise SettingsError(f"server.tls_cert: the certificate in {file} is not valid before {begins:%Y-%m-%d}")
    return [f"The certificate in {file} expires on {ends:%Y-%m-%d}: renew it."] if ends - now < SOON else []


def _check_private(file: Path, pem: bytes) -> list[str]:
    """Raises SettingsError: the key has a passphrase. Remark: others on this machine can read it."""
    if b"ENCRYPTED" in pem:
        raise SettingsError(f"server.tls_key: the key in {file} has a passphrase; give one without, in a file of 0600")
    mode = file.stat().st_mode & 0o777
    return [f"The key in {file} can be read by others (mode {mode:o}): chmod 600 {file}"] if mode & 0o077 else []


def _demand_certificates(context: ssl.SSLContext, authority: Path) -> None:
    _read(authority, "server.tls_client_ca")
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError:
        raise SettingsError(f"server.tls_client_ca: {authority} holds no certificate that can be read") from None
    context.verify_mode = ssl.CERT_REQUIRED


def _key_fault(error: OSError, certificate: Path, key: Path) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"server.tls_key: {key} is not the key of the certificate in {certificate}"
    return f"server.tls_key: {key} holds no private key that can be read ({reason or 'not PEM'})"
