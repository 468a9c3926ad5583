"""The dialects that a cloud may speak, by their names in `cloud.dialect`: where to post, with which headers, how a body
is said, how an answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from netgpt.dialects import cloud_messages, cloud_messages_read, cloud_responses, cloud_responses_read
from netgpt.outbound import Encoder, SaidBody
from netgpt.settings.sections import Cloud

Reader = cloud_messages_read.MessagesReader | cloud_responses_read.ResponsesReader
Headers = tuple[tuple[str, str], ...]

VERSION: Final = "2023-06-01"
"""Of Anthropic's API: the only one there is."""
_ENDPOINT: Final = re.compile(
    r"/(chat/completions|completions|responses|messages(/count_tokens)?|embeddings|models)/*$"
)
_VERSIONED: Final = re.compile(r"/v\d+[a-z0-9]*$")


@dataclass(frozen=True)
class CloudDialect:
    """One API that is not OpenAI's chat."""

    name: str
    path: str
    reader: Callable[[str], Reader]
    """Given how errors name the server, reads one answer."""
    error: Callable[[Any], Any]
    """An error of the API in OpenAI's shape."""
    without_thoughts: Callable[[dict[str, Any]], dict[str, Any]]
    """A request without what was thought for earlier answers."""
    version_in_base: bool
    """Whether a path without a version is meant to have none (else its SDK adds /v1)."""

    def headers(self, key: str | None) -> Headers:
        """What says who asks, and for which version."""
        if self.name == "responses":
            return (("Authorization", f"Bearer {key}"),) if key else ()
        return (*((("x-api-key", key),) if key else ()), ("anthropic-version", VERSION))

    def base(self, url: str) -> str:
        """The address below which `path` lies, of one with, without or with too much of a path."""
        parts = urlsplit(url)
        path = _ENDPOINT.sub("", parts.path.rstrip("/")).rstrip("/")
        if not path or not (self.version_in_base or _VERSIONED.search(path)):
            path += "/v1"
        return urlunsplit(parts._replace(path=path))


DIALECTS: Final = {
    each.name: each
    for each in (
        CloudDialect(
            "responses", "/responses", cloud_responses_read.ResponsesReader, cloud_responses_read.openai_error,
            cloud_responses.without_thoughts, True,
        ),
        CloudDialect(
            "anthropic", "/messages", cloud_messages_read.MessagesReader, cloud_messages_read.openai_error,
            cloud_messages.without_thoughts, False,
        ),
    )
}  # fmt: skip


def dialect_of(cloud: Cloud) -> CloudDialect | None:
    """None: OpenAI's chat."""
    return DIALECTS.get(cloud.dialect)


def encoder_of(cloud: Cloud) -> Encoder:
    """Says a chat body as that cloud understands it."""
    if cloud.dialect == "anthropic":
        return cloud_messages.messages_encoder(cloud.max_tokens, cloud.pass_fields)
    return cloud_responses.responses_encoder(cloud.pass_fields) if cloud.dialect == "responses" else SaidBody
