"""The certificates of a connection to a server: whom to believe, and what to show. Checks cannot be turned off."""

from __future__ import annotations

import ssl
from pathlib import Path

from netgpt.errors import SettingsError
from netgpt.models.endpoint import SYSTEM_TRUST, Trust

__all__ = ["check_trust", "trusted_certificates"]


def trusted_certificates(trust: Trust = SYSTEM_TRUST, section: str = "cloud") -> ssl.SSLContext:
    """TLS 1.2 or newer, the server's chain, dates and name checked, by `trust.ca_file` or the system's authorities.

    OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR itself; a system without any authorities gets certifi's. Raises
    SettingsError: a file is missing, or is not what it should be.
    """
    authority = _existing(trust.ca_file, f"{section}.ca_file")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=authority)
    except ssl.SSLError:
        raise SettingsError(f"{section}.ca_file: {trust.ca_file} holds no certificate that can be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    folder = ssl.get_default_verify_paths().capath
    if trust.ca_file is None and not context.cert_store_stats()["x509_ca"] and not _anything_in(folder):
        import certifi

        context.load_verify_locations(certifi.where())
    if trust.client_cert is not None:
        _show(context, trust, section)
    return context


def check_trust(trust: Trust, *, tls: bool, section: str = "cloud") -> None:
    """Read the files now, so that what is wrong with them is told at the start. Raises SettingsError."""
    if (trust.client_cert is None) != (trust.client_key is None):
        raise SettingsError(f"{section}.client_cert and {section}.client_key go together: set both or none")
    if trust == SYSTEM_TRUST:
        return
    if not tls:
        raise SettingsError(f"{section}.base_url begins with http://, where certificates do nothing; use https://")
    trusted_certificates(trust, section)


def _show(context: ssl.SSLContext, trust: Trust, section: str) -> None:
    certificate = _existing(trust.client_cert, f"{section}.client_cert")
    key = _existing(trust.client_key, f"{section}.client_key")
    try:
        context.load_cert_chain(str(certificate), key, password=_no_passphrase)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(_told(error, f"{section}.client_cert", f"{section}.client_key")) from None


def _existing(file: Path | None, name: str) -> Path | None:
    """The file, after a look at whether it holds anything in PEM."""
    if file is None:
        return None
    try:
        text = file.expanduser().read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: {file} cannot be read: {error.strerror}") from None
    if b"-----BEGIN " not in text:
        raise SettingsError(f"{name}: {file} holds no PEM (it should begin with -----BEGIN ...)")
    return file.expanduser()


def _told(error: OSError, certificate: str, key: str) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of {certificate}"
    return f"{certificate} and {key}: no certificate with its key could be read ({reason or 'not PEM'})"


def _no_passphrase() -> str:
    """Asked when the key has a passphrase: nobody is there to type one, and an empty one is refused."""
    return ""


def _anything_in(folder: str | None) -> bool:
    return bool(folder) and any(Path(str(folder)).iterdir())
