"""Which proxy the environment names for an address: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl and others
read them. They count as configuration where they are set for this process, and `netgpt doctor` says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

NO_PROXY: Final = "none"
"""The value of `cloud.proxy` that means: straight, whatever the environment says."""


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
