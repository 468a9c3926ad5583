"""What is well written in the settings and cannot work, and what works and is seldom meant: found before a box starts
with it. Nothing is started, and nobody is asked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from netgpt.errors import NetGPTError, SettingsError
from netgpt.proofs import FileProof
from netgpt.settings import Settings, misspelt_variables, where_is

Opened = Callable[[Settings], AbstractContextManager[FileProof]]
"""Opens, for a block, what vouches for files of the home."""


def faults_of(settings: Settings, opened: Opened, file: Path | None = None) -> Iterator[str]:
    """What cannot work: one line each, with the cure. It begins with the place and the name of the setting at fault,
    where there is one; `file`: the one that was read, where it was named."""
    yield from misspelt_variables(os.environ)
    yield from _files_that_lack(settings)
    parts: Mapping[str, Callable[[], object]] = {
        "policy.set": lambda: _policy(settings), "edge.model": lambda: _weights(settings, opened),
        "models.aliases": lambda: _aliases(settings), "privacy.languages": lambda: _languages(settings),
        "cloud.model": lambda: _cloud_models(settings), "server.tls_cert": lambda: _tls(settings),
        "cloud": lambda: _remotes(settings), "edge.base_url": lambda: _edge(settings),
        "insights.arms": lambda: _insights(settings),
    }  # fmt: skip
    for name, part in parts.items():
        try:
            part()
        except NetGPTError as error:
            told = error.message
            yield told if name in _NAME_THEMSELVES else f"{where_is(name, file)}: {told.removeprefix(f'{name}: ')}"


_NAME_THEMSELVES = ("server.tls_cert", "cloud", "edge.base_url", "insights.arms")
"""Of several settings each: what is wrong with them says itself which."""


def _cloud_models(settings: Settings) -> None:
    for target, remote in settings.remotes.items():
        if not remote.model.strip():
            raise SettingsError(f"name the model that {target} is asked for, such as gpt-4o-mini")


def _policy(settings: Settings) -> None:
    from netgpt.policy import Policy

    Policy.load(settings.policy.set)


def _aliases(settings: Settings) -> None:
    from netgpt.routing.names import model_names

    model_names(settings)


def _remotes(settings: Settings) -> None:
    """Addresses, proxies, keys and certificates of models elsewhere, as they are read at a start."""
    if not settings.remotes:
        return
    from netgpt.app.factory import open_remote

    for target, remote in settings.remotes.items():
        lacking = [path for path in (remote.ca_file, remote.client_cert, remote.client_key) if path is not None]
        if all(path.expanduser().exists() for path in lacking):  # those that lack are told already
            open_remote(target, remote, cast(Any, None))  # it is never asked


def _edge(settings: Settings) -> None:
    if settings.edge.base_url is not None:
        from netgpt.models.addresses import address_of

        address_of(settings.edge.base_url, "edge")


def _languages(settings: Settings) -> None:
    from netgpt.privacy.scripts import checked

    checked(settings.privacy.languages)


def _insights(settings: Settings) -> None:
    for target in settings.insights.arms:
        if target not in settings.remotes:
            known = ", ".join(settings.remotes) or "none"
            raise SettingsError(f'insights.arms: no model elsewhere is called "{target}"; there are: {known}')


def _tls(settings: Settings) -> None:
    from netgpt.app.tls import server_tls

    server = settings.server
    named = (server.tls_cert, server.tls_key, server.tls_client_ca)
    if all(path is None or path.expanduser().exists() for path in named):  # those that lack are told already
        server_tls(server)


def _weights(settings: Settings, opened: Opened) -> None:
    """The built-in engine's file is there; where nothing was fetched yet, a known name is enough."""
    from netgpt.models.catalog import BUNDLED, Catalog
    from netgpt.models.offers import offers

    edge = settings.edge
    if edge.base_url is not None or edge.is_off or edge.model in BUNDLED or edge.model in offers():
        return
    if not settings.has_store:  # no box is made for a look
        if not Path(edge.model).expanduser().is_file():
            raise SettingsError(
                f"edge.model: {edge.model} is neither a file nor a known name: `netgpt models recommend` shows names"
            )
        return
    with opened(settings) as files:
        Catalog(settings.models_dir, files).resolve(edge.model)


def _files_that_lack(settings: Settings) -> Iterator[str]:
    """Certificates and keys that are named and not there."""
    sections: dict[str, Any] = {"server": settings.server, "oidc": settings.oidc, "insights": settings.insights}
    sections |= {"cloud": settings.cloud, **{f"upstreams.{each.name}": each for each in settings.upstreams}}
    for section, values in sections.items():
        for name in type(values).model_fields:
            path = getattr(values, name)
            if isinstance(path, Path) and not path.expanduser().exists():
                yield f"{section}.{name}: {path} is not there; name the file, or take the setting out"


def remarks_on(settings: Settings) -> Iterator[str]:
    """What works and is seldom meant."""
    from netgpt.models.catalog import BUNDLED
    from netgpt.privacy.registry import families

    for kind in settings.privacy.sensitive_kinds:  # one of a profile's may have any name
        if kind not in families() and (near := difflib.get_close_matches(kind.upper(), families(), 1, 0.75)):
            yield f'privacy.sensitive_kinds: no detector finds "{kind}"; did you mean "{near[0]}"?'
    edge = settings.edge
    if edge.base_url is None and (file := BUNDLED.get(edge.model)) and not (settings.models_dir / file.file).is_file():
        yield f"edge.model: {edge.model} is not fetched yet: `netgpt models pull`"
    for target, remote in settings.remotes.items():
        if remote.api_key is None and not remote.headers and (remote.base_url or "").startswith("https://"):
            section = "cloud" if target == "cloud" else f"upstreams.{target}"
            yield f"{section}.api_key is not set: most clouds refuse requests without one. `netgpt doctor --try-cloud`"
