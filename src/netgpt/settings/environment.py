"""What the environment says of the way to models elsewhere: proxies, and values of headers.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are read as curl and others read them. They count as configuration where
they are set for this process, and `netgpt doctor` says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from netgpt.errors import SettingsError
from netgpt.files import read_text


def environment_proxy(env: Mapping[str, str], base_url: str) -> tuple[str, str] | None:
    """The proxy for this address and the variable that names it; None: there is none."""
    try:
        url = urlsplit(base_url)
        host, port = (url.hostname or "").lower(), url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        return None
    for name in (each for kind in (url.scheme, "all") for each in (f"{kind.upper()}_PROXY", f"{kind}_proxy")):
        # Who starts a program for a web server may be handed a header "Proxy:" as HTTP_PROXY (CVE-2016-5385).
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in env:
            continue
        if (value := env.get(name, "").strip()) and not _goes_straight(env, host, port):
            return value, name
    return None


def _goes_straight(env: Mapping[str, str], host: str, port: int) -> bool:
    """Whether NO_PROXY names the host: itself, its domain, a network, with or without a port; `*` is all."""
    listed = env.get("NO_PROXY", "") or env.get("no_proxy", "")
    for each in listed.replace(" ", ",").lower().split(","):
        name, _, of_port = each.rpartition(":") if each.count(":") == 1 else (each, "", "")
        if of_port and of_port != str(port):
            continue
        name = name.strip("[]").removeprefix("*").lstrip(".")
        if each == "*" or (name and (host == name or host.endswith(f".{name}") or _is_in(host, name))):
            return True
    return False


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def read_headers(values: dict[str, Any], env: dict[str, str]) -> None:
    """Headers whose values stand elsewhere: "env:NAME" and "file:PATH". Raises SettingsError: nothing is there."""
    upstreams = values.get("upstreams")
    for section in (values.get("cloud"), *(upstreams if isinstance(upstreams, list) else ())):
        headers: Any = section.get("headers") if isinstance(section, dict) else None
        for name, value in list(headers.items()) if isinstance(headers, dict) else ():
            kind, _, where = value.partition(":") if isinstance(value, str) else ("", "", "")
            if kind == "file":
                headers[name] = read_text(Path(where).expanduser(), SettingsError).strip()
            elif kind == "env":
                if where not in env:
                    raise SettingsError(f"the header {name} is to come from {where}, which is not set")
                headers[name] = env[where].strip()
