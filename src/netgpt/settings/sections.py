"""The sections of the settings: every name, its default, its bounds, and what it means."""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import json
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from netgpt.registry import names_in
from netgpt.types import Role


class Section(BaseModel):
    """What every section is made of: immutable, and unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _http_address(value: str | None) -> str | None:
    if value is not None and not re.match(r"https?://[^/\s]+", value):
        raise ValueError('must be an HTTP address, such as "https://cloud.example/v1"')
    return value


HttpAddress = Annotated[str | None, AfterValidator(_http_address)]


def _listed(value: Any) -> Any:
    """The environment has no lists: there, values are joined by commas, or written as in the file."""
    if isinstance(value, str) and value.strip().startswith("["):
        with contextlib.suppress(ValueError):
            return tuple(json.loads(value))
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _paired(value: Any) -> Any:
    """Nor has it tables: there, `staff=user,ops=operator`."""
    if not isinstance(value, str):
        return value
    return {name.strip(): role.strip() for name, _, role in (part.partition("=") for part in value.split(","))}


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        scheme, _, rest = value.partition("://")
        is_any = rest.strip("*.:0123456789") == "" and scheme.lower() in ("http", "https")
        if is_any or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#@]+", value):
            raise ValueError(
                'must be origins without a path, such as ["https://chat.example", "app://obsidian.md"]; "*" stands for '
                'one name or port within, never for all sites, and "null" is anybody'
            )
    return values


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError('must be addresses or networks, such as ["10.0.0.7", "192.168.1.0/24"]') from None
    return values


def _issuer(value: str | None) -> str | None:
    """HTTPS, as OpenID Connect demands; plain HTTP only to this very machine."""
    if value is None or re.match(r"https://[^/\s?#]+[^\s?#]*$", value):
        return value
    parts = urlsplit(value)
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return value
    raise ValueError('must be an https address, such as "https://login.example/realms/site"')


Pairs = Annotated[dict[str, str], BeforeValidator(_paired)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_networks)]
Issuer = Annotated[str | None, AfterValidator(_issuer)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key. Those with a shared secret (HS*) and `none` are not on offer."""


class Oidc(Section):
    """Bearer tokens of an identity provider (OpenID Connect), beside keys. No `issuer`: none are taken."""

    issuer: Issuer = Field(None, description="Must equal the tokens' `iss`, to the letter.")
    audience: str | None = Field(None, description="Must be among the tokens' `aud`. Needed with `issuer`.")
    jwks_url: Issuer = Field(
        None, description="Where the issuer's keys are; else its discovery document says so, on its own host."
    )
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(_listed)] = Field(
        ("RS256", "ES256"), min_length=1, description="Signatures accepted; public-key ones only."
    )
    ca_file: Path | None = Field(None, description="The issuer's certificate authority (PEM); else the system's.")
    user_claim: str = Field("sub", min_length=1, description="The claim that names the person.")
    tenant: str = Field("local", min_length=1, description="The tenant of all token users, without `tenant_claim`.")
    tenant_claim: str | None = Field(None, description="The claim that names the tenant; never the box's own, `local`.")
    role_claim: str | None = Field(
        None, description='The claim looked up in `roles`; dots go deeper ("realm_access.roles"). None: all are users.'
    )
    roles: Annotated[dict[str, Role], BeforeValidator(_paired)] = Field(
        {}, description='Such as {"netgpt-ops" = "operator", "staff" = "user"}; no match: no entry.'
    )
    groups_claim: str | None = Field(None, description="The claim with the person's groups, for the policy.")
    leeway_s: float = Field(30.0, ge=0, le=300, description="Clocks may differ by this many seconds.")
    max_lifetime_s: float = Field(
        604_800.0, gt=0, description="A token that is good for longer than this, in seconds, is refused."
    )
    cache_s: float = Field(300.0, gt=0, description="The issuer's keys are read again after this, in seconds.")
    refresh_s: float = Field(30.0, ge=0, description="And at most this often, whatever tokens say.")
    stale_s: float = Field(3600.0, ge=0, description="Keys known are used this long while the issuer is down.")
    requests_per_minute: int | None = Field(None, ge=1, description="Of each person who comes with a token.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Of each person who comes with a token.")
    tokens_per_day: int | None = Field(None, ge=1, description="Of each such person and day (UTC).")
    cost_per_day: float | None = Field(
        None, gt=0, description="Money, by `cloud.price_*`; of each person and day (UTC)."
    )
    cost_per_month: float | None = Field(None, gt=0, description="Money; of each person and month (UTC).")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.issuer is not None and self.audience is None:
            raise ValueError("audience is needed with issuer: else tokens made for other services would open the box")
        if self.issuer is None and (self.audience or self.jwks_url):
            raise ValueError("issuer is needed: whose tokens are taken?")
        if self.role_claim is not None and not self.roles:
            raise ValueError("roles is needed with role_claim: which value makes whom")
        return self


class LockoutSettings(Section):
    """What guessing keys meets. Right keys with another beginning, or from elsewhere, are not locked out."""

    failures: int = Field(20, ge=1, description="Wrong keys from one address that lock further wrong ones out.")
    window_s: float = Field(60.0, gt=0, description="Within this many seconds.")
    first_s: float = Field(5.0, gt=0, description="The first lock, in seconds; each further one is twice as long.")
    longest_s: float = Field(900.0, gt=0, description="No lock is longer.")


DEFAULT_STAGES = ("identify", "recall", "complete", "desensitize", "route", "generate", "restore", "choose", "record")


class Server(Section):
    """The HTTP server."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only when keys exist.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer at one address, over one store and one engine; as many as cores are free.",
    )
    max_body_bytes: int = Field(4_000_000, ge=1_000, description="Largest request body accepted.")
    max_head_bytes: int = Field(32_768, ge=1_000, description="Largest head of a request; a larger one gets 431.")
    max_headers: int = Field(100, ge=10, description="Most headers of a request; more get 431.")
    max_target_bytes: int = Field(8_192, ge=100, description="Longest path with query; a longer one gets 414.")
    head_timeout_s: float = Field(
        10.0, gt=0, description="A head (before it: TLS, and the first byte) comes within these seconds; else 408."
    )
    body_timeout_s: float = Field(
        30.0, gt=0, description="A body that falls behind `min_body_rate` by so many seconds is given up: 408."
    )
    min_body_rate: float = Field(1_000.0, gt=0, description="Least speed of a body, in bytes a second.")
    keep_alive_s: float = Field(
        30.0, gt=0, description="A connection without a request is closed after these seconds; sooner where it is full."
    )
    max_connections: int | None = Field(
        None,
        ge=8,
        description="Connections at once. None: what the limit of open files (ulimit -n) allows, up to 2,048.",
    )
    max_connections_per_address: int | None = Field(
        None, ge=1, description="Of one address. None: half of them; all for this machine and for `trusted_proxies`."
    )
    origins: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_origins)] = Field(
        (),
        alias="allowed_origins",
        description='Web pages and extensions that may call the API (CORS), such as "https://chat.example", '
        '"chrome-extension://abcdefgh", "vscode-webview://*" (a name of each start).',
    )
    console: bool = Field(True, description="Whether the page at /console is served: a client of the API as any other.")
    max_concurrency: int = Field(256, ge=1, description="Requests at work at once, of all workers; more wait.")
    max_waiting: int = Field(1024, ge=0, description="Chats that wait for their turn at once; more are refused (503).")
    max_wait_s: float | None = Field(
        None,
        ge=0,
        description="No chat waits longer for its turn, in seconds. None: so long that answers take at most about "
        "twice as long as usual on the box, and 10 s for a model elsewhere.",
    )
    deadline_s: float = Field(300.0, gt=0, description="No request lives longer than this, in seconds.")
    drain_s: float = Field(
        8.0, ge=0, description="When it is asked to stop, answers under way get so many seconds to end."
    )
    comment_s: float | None = Field(
        5.0,
        gt=0,
        description="A stream that says nothing for so long gets a comment (`: keep-alive`), its first words too; "
        "until then an error has its HTTP status. None: no comments.",
    )
    trusted_proxies: Addresses = Field(
        (), description="Proxies whose X-Forwarded-For is believed: addresses or networks. Nobody else's is."
    )
    access_log: bool = Field(
        True,
        description="One line in the log for each request (at log_level info; the console's files, and looks at the "
        "log, at debug): no text, no query, no name.",
    )
    tls_cert: Path | None = Field(None, description="Certificate chain (PEM): the box then speaks https only.")
    tls_key: Path | None = Field(None, description="Its private key (PEM, 0600), without a passphrase.")
    tls_client_ca: Path | None = Field(None, description="Callers must show a certificate of this authority (PEM).")


NO_EDGE: Final = "off"
"""As `edge.model`: there is none."""


class Edge(Section):
    """The model on the box."""

    @property
    def is_off(self) -> bool:
        """Whether there is to be no model on the box."""
        return self.base_url is None and self.model == NO_EDGE

    base_url: HttpAddress = Field(
        None, description="An OpenAI-compatible server (Ollama, vLLM) to use instead of the built-in engine."
    )
    api_key: SecretStr | None = Field(None, description="Key of that server.")
    model: str = Field(
        "smollm2-135m",
        description='Catalogue name or path of a GGUF file; with base_url, the server\'s model name; "off": none, a '
        "cloud alone answers. Without its weights a box with a cloud starts too, and says so.",
    )
    context_tokens: int = Field(
        2048, ge=256, description="Context per slot of the built-in engine, in tokens; 23 KB of memory each."
    )
    slots: int = Field(2, ge=1, le=64, description="Answers that the engine generates at once.")
    threads: int = Field(0, ge=0, description="CPU threads of the engine; 0: all cores read, all but one write.")
    max_tokens: int = Field(256, ge=1, description="Longest answer of the edge when the request names none.")
    timeout_s: float = Field(60.0, gt=0, description="Seconds without a byte before the edge counts as stalled.")
    thinking: bool = Field(
        False,
        description="Whether a model of the built-in engine that can think aloud does: better, and far slower.",
    )


MODEL_FOLDERS: Final = (
    "~/.ollama/models", "/usr/share/ollama/.ollama/models", "~/.lmstudio/models", "~/.cache/lm-studio/models",
    "~/jan/llamacpp/models", "~/.local/share/Jan/data/llamacpp/models", "~/.config/Jan/data/llamacpp/models",
    "~/.cache/llama.cpp", "~/.cache/huggingface/hub",
)  # fmt: skip
"""Where Ollama, LM Studio, Jan, llama.cpp and Hugging Face's programs keep models."""


class ModelSources(Section):
    """Where models come from: see `netgpt models pull`, `netgpt models list`. Nothing is fetched unasked."""

    hub: str = Field(
        "https://huggingface.co",
        pattern=r"https?://[^/\s]+",
        description="A server that speaks Hugging Face's protocol; without this setting HF_ENDPOINT counts.",
    )
    token: SecretStr | None = Field(
        None, description="For repositories that want to know you; sent to that server only. Else HF_TOKEN counts."
    )
    aliases: Pairs = Field(
        {},
        description='Other names for models, such as {"gpt-4o" = "netgpt", "claude-*" = "netgpt"}, for programs that '
        "insist on theirs. A pattern is asked last.",
    )
    found_in: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        MODEL_FOLDERS,
        description="Folders of other programs in which models are looked for, to be used where they are. "
        "OLLAMA_MODELS, HF_HUB_CACHE and HF_HOME name more.",
    )


class EncoderSection(Section):
    """The sentence encoder on the box: embeddings, and which facts matter. Without it the box does so by words."""

    model: str = Field(
        "all-minilm-l6-v2", description='Catalogue name or path of its file; "off": none is read, 60 MB less memory.'
    )
    max_tokens: int = Field(
        256, ge=8, le=512, description="Of a text that is embedded; the rest is not read. It was trained on 128."
    )


class Cloud(Section):
    """The model elsewhere: an endpoint that speaks one of three dialects. No `base_url`: the box answers alone."""

    base_url: HttpAddress = Field(None, description='Such as "https://cloud.example/v1".')
    api_key: SecretStr | None = Field(None, description="Sent as the bearer; never logged.")
    model: str = Field("gpt-4o-mini", description="Model name sent to the cloud.")
    dialect: Literal["openai", "responses", "anthropic"] = Field(
        "openai",
        description="What it speaks: OpenAI's chat completions, OpenAI's Responses API, or Anthropic's Messages API.",
    )
    max_tokens: int = Field(
        8192, ge=1, description='Longest answer where the request names none; asked of "anthropic", which wants one.'
    )
    headers: Annotated[dict[str, SecretStr], BeforeValidator(_paired)] = Field(
        {},
        description='More headers for it: a table, whose values may be "env:NAME" or "file:PATH". They go before ours: '
        "`authorization` replaces the bearer. Never shown.",
    )
    proxy: SecretStr | None = Field(
        None,
        description='HTTP proxy towards it, such as "http://name:password@proxy.example:3128"; "none": straight. '
        "Without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the process count. Never towards this machine.",
    )
    first_byte_s: float = Field(
        120.0, gt=0, description="Seconds that it may think before the first byte of an answer."
    )
    idle_s: float = Field(60.0, gt=0, description="Seconds of silence within an answer; then it counts as stalled.")
    timeout_s: float | None = Field(
        None, gt=0, alias="timeout", description="Where it is set, the most of `first_byte_s` and of `idle_s`."
    )
    connect_timeout_s: float = Field(5.0, gt=0, description="Seconds to open a connection.")
    retries: int = Field(2, ge=0, le=10, description="Tries after the first, only before any byte of the answer.")
    max_connections: int = Field(100, ge=1, description="Size of the connection pool.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that open the circuit breaker.")
    breaker_reset_s: float = Field(15.0, gt=0, description="Seconds before an open breaker lets one try through.")
    price_prompt: float = Field(0.0, ge=0, description="Money per million prompt tokens.")
    price_completion: float = Field(0.0, ge=0, description="Money per million completion tokens.")
    price_cached: float | None = Field(
        None, ge=0, description="Money per million prompt tokens that its cache had; else as price_prompt."
    )
    ca_file: Path | None = Field(
        None, description="The only certificate authority believed of the cloud (PEM); else the system's."
    )
    client_cert: Path | None = Field(None, description="Certificate shown to the cloud (PEM).")
    client_key: Path | None = Field(None, description="Its private key (PEM, 0600), without a passphrase.")
    region: str = Field("", description='Where that server stands, such as "eu": the policy may ask for it.')
    purpose: str = Field("", description='What it works for, such as "treatment": the policy may ask for it.')
    trusted: bool = Field(
        False, description="The owner runs this server: texts go there unmasked. Off unless you are sure."
    )
    pass_fields: tuple[str, ...] = Field(
        (),
        description="Names of fields of its own that pass as they are, such as a session's id. What has not the form "
        "of an identifier in them is searched all the same.",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    _environment: tuple[SecretStr, str] | None = PrivateAttr(None)

    def found_in(self, proxy: tuple[str, str] | None) -> None:
        """The environment's proxy for it, and the variable that names it."""
        self._environment = None if proxy is None else (SecretStr(proxy[0]), proxy[1])

    @property
    def way(self) -> tuple[str | None, str]:
        """The proxy towards it (None: straight), and where that is said."""
        if self.proxy is not None:
            address = self.proxy.get_secret_value()
            return (None if address in ("none", "") else address), "proxy"
        return (self._environment[0].get_secret_value(), self._environment[1]) if self._environment else (None, "")

    @property
    def patience(self) -> tuple[float, float]:
        """Seconds until the first byte of an answer, and between two."""
        most = self.timeout_s or float("inf")
        return min(self.first_byte_s, most), min(self.idle_s, most)

    @property
    def is_neighbour(self) -> bool:
        """Whether it is another NetGPT box."""
        return False


class Site(Section):
    """Where the box stands. Coordinates stay on the box; only names are ever written into prompts."""

    name: str | None = Field(None, description='Such as "Grand Arcade, Cambridge".')
    latitude: float | None = Field(None, ge=-90, le=90, description="Degrees, WGS 84.")
    longitude: float | None = Field(None, ge=-180, le=180, description="Degrees, WGS 84.")
    radius_m: float = Field(500.0, gt=0, description="How far the site reaches, in metres.")
    district: str | None = Field(None, description="Civic names, coarser and coarser.")
    city: str | None = None
    region: str | None = None
    country: str | None = None
    time_zone: str = Field("UTC", description='IANA name, such as "Europe/London".')

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            near = difflib.get_close_matches(value, available_timezones(), 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f'unknown time zone "{value}"{hint}') from None
        return value

    @model_validator(mode="after")
    def _whole_point(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude go together: set both or none")
        return self


class Completion(Section):
    """How terse prompts are completed."""

    mode: Literal["select", "rewrite", "off"] = Field("select", description="Default; a request may say otherwise.")
    max_facts: int = Field(6, ge=1, le=16, description="At most this many facts are added.")
    placement: Literal["auto", "after", "after-line", "before", "before-line", "system", "system-line"] = Field(
        "auto",
        description="Where the facts are written in: after or before the person's words, or in the system message; a "
        'list, or one line. "auto": where each class of model used them best (`netgpt bench placement`).',
    )
    timeout_s: float = Field(3.0, gt=0, description="Past this the request goes on uncompleted.")
    relevance: str = Field(
        "bundled",
        description='Weights that choose among facts, on top of the sentence encoder: "bundled", a file of yours, or '
        '"off": facts are chosen by their kinds.',
    )


class ConstraintSettings(Section):
    """Private facts that rule something out (allergies, diets, budgets, access) choose among an answer's options."""

    enabled: bool = Field(True, description="Off: answers are passed on as they are, and no options are asked for.")
    ask: Literal["profile", "always", "never"] = Field(
        "profile",
        description="Whose terse requests for suggestions leave with one neutral sentence that asks for options: "
        "of persons with a profile, whatever is in it; of everybody; of nobody.",
    )


class Proposals(Section):
    """Facts proposed from what people say of themselves in passing, where they consent to it (purpose `proposals`)."""

    keep_days: float = Field(30.0, gt=0, description="What nobody has said yes or no to goes after this.")
    most: int = Field(50, ge=0, le=1_000, description="At most this many wait for one person; 0: none are proposed.")


class Privacy(Section):
    """What is hidden before anything leaves."""

    names: bool = Field(True, description="Find names, places and organisations with the small NER model.")
    languages: tuple[str, ...] = Field(
        ("all",),
        description='Languages in whose scripts names are looked for, "all" that the detector has learnt: '
        "`netgpt detector show` lists them. In other scripts patterns and own values alone are hidden, and the record "
        "of the request says so.",
    )
    public_figures: bool = Field(
        True,
        description="Publicly known people who are asked about may leave by name, where the policy lets FIGURE leave; "
        "false hides them too.",
    )
    timeout_s: float = Field(5.0, gt=0, description="A detector that takes longer has failed: nothing leaves.")
    max_chars: int = Field(400_000, ge=1_000, description="Longer requests are not analysed, so they stay here.")
    media: Literal["keep", "send"] = Field(
        "keep",
        description='Images, audio and files cannot be checked: "keep" them on the box, or "send" pictures and sounds '
        "without their metadata. Documents stay.",
    )
    sensitive_kinds: tuple[str, ...] = Field(
        ("API_KEY", "CARD", "IBAN", "CRYPTO", "NATIONAL_ID"),
        description="A request with one of these is answered on the box.",
    )


class StoreSettings(Section):
    """What is kept, and how long."""

    keep_exchanges_days: float = Field(30.0, gt=0, description="Exchanges older than this are deleted.")
    keep_maps_days: float = Field(30.0, gt=0, description="Pseudonym maps of conversations idle for this long.")
    keep_receipts_days: float = Field(
        90.0, gt=0, description="What left, and for whom, is erased from receipts after this; their chain stays."
    )
    keep_text: bool = Field(
        True, description="Keep the texts of exchanges and receipts (encrypted); false keeps figures and digests only."
    )
    power_safe: bool = Field(
        False, description="One fsync per group of writes: what is recorded survives a power cut, not only a crash."
    )
    url: SecretStr | None = Field(
        None,
        description="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, where several boxes share one store (extra "
        "`postgres`); else a file in home. For NETGPT_STORE__URL. Never logged.",
    )
    key: SecretStr | None = Field(
        None,
        description="The sealing key in base64, for NETGPT_STORE__KEY; else home/secret.key holds it. Two with a "
        "space between, newest first, while it is changed. Never logged.",
    )
    key_command: tuple[str, ...] = Field(
        (), description='A command that prints the key instead: ["pass", "show", "netgpt"]. Run without a shell.'
    )
    key_command_timeout_s: float = Field(30.0, gt=0, description="Seconds that this command may take.")
    min_free_bytes: int = Field(50_000_000, ge=0, description="Less free disk than this is reported and refused.")
    head: str = Field(
        "file:netgpt.head",
        pattern=r"^(file:.+|syslog:|https://.+|http://(127\.0\.0\.1|localhost)[:/].*|)$",
        description="Where the end of the receipts and the count of writes are noted, so that an old copy of the "
        "database is told: a file (in home, unless its path is absolute), `syslog:`, or an auditor's URL that gets a "
        "POST; empty: nowhere.",
    )

    @field_validator("key_command", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """The environment gives one line, divided as a shell divides it."""
        return shlex.split(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.key is not None and self.key_command:
            raise ValueError("key and key_command are two sources of one key: set one of them")
        return self


class Adapters(Section):
    """Adapters of the built-in engine: which are loaded, and how new ones are tried."""

    resident: int = Field(
        8, ge=0, le=64, description="Adapters loaded at once: those in use and pinned, then of who asked last."
    )
    canary: float = Field(0.1, gt=0, le=1, description="Share of the people that a canary answers by default.")
    max_bytes: int = Field(64_000_000, ge=1_000, description="Larger adapter files are refused.")
    poll_s: float = Field(0.5, gt=0, description="Seconds between looks for changes made by other programs.")
    swap_every_s: float = Field(
        3.0, ge=0, description="Adapters of people who ask are loaded this often at most, in seconds."
    )


class TrainingSettings(Section):
    """Making adapters on the box (`netgpt train`)."""

    memory_mb: int = Field(1000, ge=300, description="A training uses at most about this much memory, in MB.")
    threads: int = Field(0, ge=0, description="CPU threads of a training; 0: all cores.")
    min_examples: int = Field(20, ge=2, description="Fewer examples teach nothing and are refused.")
    max_examples: int = Field(50_000, ge=2, description="No training takes more examples than this.")
    k_anonymity: int = Field(
        5,
        ge=1,
        description="An adapter for others learns from people's own exchanges only what so many people share; 1: all.",
    )
    keep_examples_days: float = Field(
        365.0, gt=0, description="What adapters learnt from is kept sealed for this long, so that it can be shown."
    )
    self_instruct_tokens: int = Field(
        200_000, ge=1_000, description="The cloud writes at most this many tokens of examples in one run."
    )
    self_instruct_cost: float = Field(
        1.0, ge=0, description="And at most for this much money, by cloud.price_prompt and price_completion."
    )


class WorkflowSettings(Section):
    """The pipeline itself."""

    stages: tuple[str, ...] = Field(DEFAULT_STAGES, description="The stages, in order.")

    @field_validator("stages")
    @classmethod
    def _known_stages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            known = (*DEFAULT_STAGES, *names_in("netgpt.stages"))
            if name not in known:
                raise ValueError(f'no stage "{name}"; the stages are {", ".join(known)}')
        return value


class PluginSettings(Section):
    """What other packages plug in: see `netgpt plugins`."""

    off: tuple[str, ...] = Field((), description="Names of plug-ins to leave out.")


class PolicySection(Section):
    """Who may do what, and what may leave."""

    set: str = Field(
        "balanced",
        description='The rules in force: "open", "balanced", "strict", "health", or the path of a .cedar file.',
    )

    @field_validator("set")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError('name a set ("balanced") or a .cedar file')
        return value


class FleetSettings(Section):
    """Whose orders this box follows beside its owner's: `netgpt fleet join` writes both."""

    box: str = Field("", pattern=r"^([a-z0-9][a-z0-9-]{0,63})?$", description="The name of this box in its fleet.")
    key: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        description="The public key of the fleet's control (`netgpt fleet show`). Rules and adapters that are signed "
        "with it are taken over. Empty: in no fleet.",
    )
