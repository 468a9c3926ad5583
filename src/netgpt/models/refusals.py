"""Whose fault a server's refusal is: the caller's, who gets it back; the owner's, who has to mend a key, a model's name
or an address; or nobody's, because it passes.

A status alone does not say: a wrong key is a 400 at some, a wrong model a 422 or a 503, an empty account a 429. So the
server's words are read, and not repeated: they may echo a person's text or the key. What a caller cannot choose (the
key, the model's name, the address) is never the caller's fault.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from netgpt.errors import ModelError, ModelMisconfigured, ModelUnavailable

log = logging.getLogger(__name__)


class Blame(StrEnum):
    """Who can do something about it."""

    CALLER = "caller"
    OWNER = "owner"
    NOBODY = "nobody"  # it passes: another try or another model may do


class Ruling(NamedTuple):
    """`kind` and `cure` of an owner's fault; the cure's {0} is the settings' section."""

    blame: Blame
    kind: str = ""
    cure: str = ""


CALLERS: Final = Ruling(Blame.CALLER)
PASSES: Final = Ruling(Blame.NOBODY)
_KEY: Final = Ruling(Blame.OWNER, "key", "the key was refused; check {0}.api_key")
_RIGHTS: Final = Ruling(Blame.OWNER, "key", "the key was refused; check {0}.api_key and what it may use")
_ACCOUNT: Final = Ruling(Blame.OWNER, "account", "no money or quota is left for {0}.api_key; top its account up")
_MODEL: Final = Ruling(Blame.OWNER, "model", "there is no such model for this key; check {0}.model")
_NOTHING_THERE: Final = Ruling(
    Blame.OWNER, "model", "no such model or address; check {0}.model and {0}.base_url (most end with /v1)"
)
_NO_API: Final = Ruling(
    Blame.OWNER, "address", "no model answers at this address; check scheme, port and path of {0}.base_url"
)
_MOVED: Final = Ruling(
    Blame.OWNER, "address", "a redirect, which is not followed; set {0}.base_url to the final address"
)
_LOOP: Final = Ruling(
    Blame.OWNER, "loop", "the request came round; {0}.base_url leads back to this box, there or over others"
)

_PROXY: Final = Ruling(Blame.OWNER, "proxy", "a proxy on the way wants a name and password; check {0}.proxy")

_BY_STATUS: Final = {
    401: _KEY, 402: _ACCOUNT, 403: _RIGHTS, 404: _NOTHING_THERE, 405: _NO_API, 406: _NO_API, 407: _PROXY,
    410: _NOTHING_THERE, 411: _NO_API, 415: _NO_API, 421: _NO_API, 426: _NO_API, 451: _RIGHTS, 501: _NO_API,
    505: _NO_API, 508: _LOOP,
}  # fmt: skip
_PASSING: Final = frozenset({408, 409, 425, 429, 498, 499})
"""Refusals of the moment: late, in conflict, too early, too many, or no room (498: Groq's flex tier)."""

_CONTENT: Final = re.compile(
    r"content_(filter|policy|management)|moderation|flagged|safety|inspection_failed|guardrail"
)
_CODES: Final = (
    (_LOOP, re.compile(r"request_loop|loop_detected")),
    (_ACCOUNT, re.compile(
        r"(insufficient|no|low)_(quota|balance|credits?|funds)|exceeded_current_quota|billing|payment_required|arrear"
        r"|credit_balance"
    )),
    (_MODEL, re.compile(
        r"(model|deployment)s?(_is|_was|_does)?_(not_(found|exist|supported|allowed)|unknown|invalid|deprecated"
        r"|decommissioned|retired)|(invalid|unknown|no_such|deprecated)_(model|deployment)(_name|_id|_error)?\b"
    )),
    (_KEY, re.compile(
        r"(invalid|incorrect|wrong|missing|expired|revoked|disabled|bad)_((api|auth|access)_?)?(key|token|credentials)"
        r"(_error)?\b|api_key_|authentication|unauthenticated|unauthori[sz]ed|(account|key|organization|project)_"
        r"(is_)?(deactivated|suspended|disabled|not_found|expired)|access_(terminated|denied)|invalid_organization"
    )),
    (_RIGHTS, re.compile(r"permission|forbidden|not_authori[sz]ed|unsupported_country|request_not_allowed")),
)  # fmt: skip
"""Words in which servers name the cause, in snake case, wherever they write them: `code`, `type`, `status`."""
_TEXTS: Final = (
    (_ACCOUNT, re.compile(
        r"insufficient (balance|credits?|funds|quota)|credit balance|exceeded your (current|monthly) quota|not enough "
        r"(credits?|balance)|account is (in arrears|overdue)|out of credits?"
    )),
    (_KEY, re.compile(
        r"\b(api|access|subscription|auth\w*)[ _-]?(key|token)\b.{0,60}\b(not valid|invalid|incorrect|wrong|expired"
        r"|revoked|missing|required|disabled)|\b(invalid|incorrect|wrong|expired|missing|no|bad)\b.{0,20}"
        r"\b(api|access|auth\w*)[ _-]?(key|token)\b|\bunauthori[sz]ed\b"
    )),
    (_MODEL, re.compile(r"^(the )?(model|deployment) (does )?not (exist|found)|^(invalid|unknown|no such) model\b")),
    (_NO_API, re.compile(r"plain http request was sent to https|invalid url \(|no route matched|cannot (get|post) /")),
)  # fmt: skip
"""And in which sentences, read only where no field is named: else a caller's own words may be among them."""
_BEFORE_NAME: Final = re.compile(
    r"((invalid|unknown|no such) (model|deployment)( name| id)?|no access to (model)?)\W{0,4}$"
)
_AFTER_NAME: Final = re.compile(
    r"\W{0,3}(does not exist|not exist|(is |was )?not found|is not (available|a valid|supported)|is (unknown|invalid"
    r"|deprecated)|has been (deprecated|decommissioned|retired|removed))"
)
_OF_REQUEST: Final = re.compile(
    r"^failed to parse|json\.exception|(image|audio|video) input is not supported|mmproj|unsupported content"
    r"|^(missing|invalid|expected) (required )?['\"`\[]?\w+|must be an? (string|object|array)|jinja|chat template"
)
"""llama.cpp's sentences of a 500 for what the caller wrote."""
_READ: Final = 400
"""Characters of a sentence that are read."""
_WORDS_APART: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")


class Told(NamedTuple):
    """What a server says of its refusal. Nothing of it is safe to repeat."""

    named: tuple[str, ...] = ()  # its `code` and `type` as they are
    codes: tuple[str, ...] = ()  # these and others in snake case
    text: str = ""  # lower case
    param: str = ""
    is_page: bool = False  # a page for people, not an API's answer

    @classmethod
    def read(cls, document: Any, body: bytes = b"") -> Told:
        """From the parsed body (None: it is no JSON): OpenAI's error object, FastAPI's detail, or a plain sentence."""
        if document is None:
            text = body[:_READ].decode("utf-8", "replace").strip()
            return cls(text=text.lower(), is_page=text.startswith("<"))
        if isinstance(document, list) and document:  # Google sends a list of one
            document = document[0]
        whole = document if isinstance(document, Mapping) else {"message": document}
        found = whole.get("error") or error_beside(whole) or whole
        inner = found if isinstance(found, Mapping) else {"message": found}
        each = [code for name in ("code", "type", "status", "reason") if isinstance(code := inner.get(name), str)]
        codes = tuple(_WORDS_APART.sub("_", code[:_READ]).lower() for code in each)
        text = " ".join(part for part in _said(inner) if part)[:_READ].lower()
        return cls(tuple(each), codes, text, param_of(inner, whole))


def error_beside(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error of a document without OpenAI's `error`, in the shapes that servers and what stands before them have:
    FastAPI's `detail`, Cloudflare's `errors`, Baidu's `error_code`, MiniMax' `base_resp`, or a code and a message."""
    errors, base = document.get("errors"), document.get("base_resp")
    if isinstance(errors, list) and errors and not document.get("success"):
        return errors[0] if isinstance(errors[0], Mapping) else {"message": str(errors[0])}
    if isinstance(base, Mapping) and base.get("status_code"):
        return {"message": base.get("status_msg"), "code": str(base.get("status_code"))}
    if "error_code" in document or "error_msg" in document:
        return {"message": document.get("error_msg"), "code": document.get("error_code")}
    if "error" in (document.get("object"), document.get("type")) or document.get("detail"):
        return document
    marks = [str(document.get(name) or "") for name in ("code", "status", "status_code", "statusCode", "type")]
    if isinstance(document.get("message"), str) and any(_MARKED.search(mark) for mark in marks):
        return document
    return None


_MARKED: Final = re.compile(
    r"^[45]\d\d$|error|invalid|limit|quota|exceed|denied|unauth|forbidden|fail|unavailable|exhausted|not.?found", re.I
)


def _said(error: Mapping[str, Any]) -> Iterator[str]:
    """The sentences of an error: its message, and what a provider behind it said (OpenRouter's `metadata.raw`)."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    message = error.get("message")
    if isinstance(message, Mapping | list):  # Mistral's {"message": {"detail": [...]}}
        message = json.dumps(message)
    details = error.get("detail")
    first = details[0] if isinstance(details, list) and details else details
    detail = first.get("msg") if isinstance(first, Mapping) else first
    yield from (text for text in (message, detail, raw) if isinstance(text, str))


def param_of(inner: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """The field that is named: OpenAI's `param`, or the place in FastAPI's first detail; empty where none is."""
    if isinstance(param := inner.get("param"), str):
        return param
    message = inner.get("message")
    nested = message.get("detail") if isinstance(message, Mapping) else None
    details = inner.get("detail") or whole.get("detail") or nested
    first = details[0] if isinstance(details, list) and details else None
    place = first.get("loc") if isinstance(first, Mapping) else None
    parts = [str(part) for part in place if part not in ("body", "query")] if isinstance(place, list | tuple) else []
    return re.sub(r"\.(\d{1,4})(?=\.|$)", r"[\1]", ".".join(parts))


_TOO_LONG_CODES: Final = re.compile(
    r"context_(length|window)\w*exceeded|exceed_context_size|context_size_exceeded|max_prompt_tokens_exceeded"
    r"|(prompt|input)_too_long|tokens_limit_reached|model_context_window_exceeded|request_too_large"
)
_TOO_LONG_TEXTS: Final = re.compile("|".join((
    r"max(imum|\.)?[ _](model('s)? )?(allowed )?(context|prompt|sequence|model|input|total)[ _]"
    r"(length|window|size|len|limit|tokens?)\b",
    r"max_(model|seq|input|prompt|total|context)_(len|length|tokens)\b", r"\bn_ctx\b",
    r"(exceed|overflow|larger|longer|greater|beyond|too (long|large|big)|reached|keep)\w*\b.{0,80}"
    r"\bcontext[ _](length|window|size|limit)",
    r"context[ _](length|window|size|limit)s?\b.{0,60}"
    r"\b(exceed|overflow|of only|is only|too|not enough|smaller|reached)",
    r"\b(prompt|input|inputs|messages?|conversation|history|query)\b( \w+){0,3}? (is |are |was |were )?"
    r"too (long|large|many)\b",
    r"\b(input|inputs|prompt|messages?|total)\b.{0,40}?\btokens?\b.{0,60}?"
    r"(exceed|must (be|have) (<|less)|<=|(greater|larger|longer) than|only supports|over the)",
    r"exceed\w*\b.{0,50}\b(token limit|tokens allowed|max(imum)? (message|input|prompt|model) ?(tokens|length)?"
    r"|maximum number of (input )?tokens)",
    r"too many (input |prompt )?tokens", r"reduce (the length|the size|your (message|prompt|input))",
    r"length of prompt", r"\b(prompt|input|messages?) exceeds? (the )?max", r"context shift is disabled",
    r"\binputs?\W+must (be|have) (less|fewer|at most)\b.{0,20}\btokens",
    r"request (body )?too large for", r"current length is \d+ while limit is",
    r"range of input length", r"\u8d85\u957f",
)))  # fmt: skip
"""In which words servers say that a conversation does not fit: fifty of them are in the tests."""
_OF_ANOTHER_LIMIT: Final = re.compile(
    r"per[ -](min|minute|day|hour|second)|rate limit|(string|array) (is )?too long|quota"
    r"|\b(image|file|audio|video|picture)s?\b(?! and text)|supports? at most \d+ (completion|output)"
)


def is_too_long(status: int, told: Told) -> bool:
    """Whether a refusal is because the conversation does not fit into the model's context."""
    codes = " ".join(told.codes)
    if status == 413 or _TOO_LONG_CODES.search(codes):
        return True
    if status not in (400, 422, 424, 500) or _KEY_CODES.search(codes):
        return False
    if "string_above_max_length" in codes:
        return told.param.startswith(("messages", "input", "prompt")) or not told.param
    return bool(_TOO_LONG_TEXTS.search(told.text)) and not _OF_ANOTHER_LIMIT.search(told.text)


_KEY_CODES: Final = re.compile(r"content_(filter|policy)|invalid_api_key|rate_limit")


_THOUGHTS: Final = re.compile(
    r"(signature|thinking` block|thinking blocks?)\b.{0,60}\b(thinking|modified|invalid|verif)|invalid `?signature"
    r"|encrypted[ _]content.{0,40}\b(verif|decrypt|parse|invalid)|invalid_encrypted_content"
)


def refuses_thoughts(error: ModelError) -> bool:
    """Whether a maker of thoughts does not know one again that it signed or encrypted."""
    told = error.told
    return (
        error.status == 400
        and isinstance(told, Told)
        and bool(_THOUGHTS.search(told.text) or _THOUGHTS.search(" ".join(told.codes)))
    )


def names_no_model(status: int, told: Told) -> bool:
    """Whether a 404 or 405 is about the path, as far as its words tell: no model is named."""
    return status in (404, 405) and "model" not in " ".join(told.codes) and "model" not in told.text


def ruling(status: int, told: Told, model: str) -> Ruling:
    """Whose fault a refusal is. `model`: the name that the owner set, which no caller chooses."""
    codes = " ".join(told.codes)
    if _CONTENT.search(codes):
        return CALLERS
    others = status >= 500 and ModelError.type in told.named  # what another box's owner has to mend
    for found, words in _CODES:
        if words.search(codes) and (found is _LOOP or not others):
            return found
    if told.param == "model":
        return _MODEL
    if status != 429 and not (told.param or others) and (said := _of_text(told.text, model)) is not None:
        return said
    if 300 <= status < 400:
        return _MOVED
    if status == 500 and _OF_REQUEST.search(told.text):
        return CALLERS
    if status in _PASSING or (status >= 500 and status not in _BY_STATUS):
        return PASSES
    if told.is_page and status != 403:
        return _NO_API
    if status == 404 and told.param:
        return CALLERS
    return _BY_STATUS.get(status, CALLERS)


def _of_text(text: str, model: str) -> Ruling | None:
    for found, words in _TEXTS:
        if words.search(text):
            return found
    before, named, after = text.partition(model.lower())
    return _MODEL if named and (_BEFORE_NAME.search(before) or _AFTER_NAME.match(after)) else None


_NUMBER: Final = r"(?: \w+){0,2}[ :]+(-?\d{1,7}(?:\.\d{1,4})?)\b(?![\d@-])"
_BOUNDS: Final = (
    ("at most", re.compile(r"\b(?:at most|maximum|less than or equal to|no more than|up to)" + _NUMBER)),
    ("at least", re.compile(r"\b(?:at least|minimum|greater than or equal to)" + _NUMBER)),
)
_BY_CODE: Final = (
    (re.compile(r"unsupported_value|invalid_value|invalid_enum|literal_error|above|below"), "give {0} another value"),
    (re.compile(r"unsupported|unknown|forbidden|unrecognized|not_supported"), "leave {0} out"),
    (re.compile(r"missing"), "{0} is needed"),
    (re.compile(r"invalid_type|_type\b|_parsing"), "{0} has another type there"),
    (_CONTENT, "its rules on content refuse the words"),
)


def cure_for_caller(told: Told, param: str | None) -> str:
    """What the caller can do, in our words: of the server's own only bounds pass, numbers of seven digits at most.

    `param`: the field, where its name is safe to show.
    """
    codes = " ".join(code for code in told.codes if code != "invalid_request_error")
    what = param or "what it names"
    cures = [next((cure.format(what) for words, cure in _BY_CODE if words.search(codes)), param and f"check {param}")]
    cures += [
        f"it takes {bound} {found[1]}" for bound, words in _BOUNDS if param and (found := words.search(told.text))
    ]
    return "; ".join(filter(None, cures))


LOGGED_EVERY_S: Final = 60.0


class StandingFault:
    """What the owner has to mend before one model can answer: found by a call that failed of it, gone when one
    succeeds. The log names it once a minute at most. One event loop only: there is no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.words = ""
        """What is wrong, where it is set, since when; without the server's name. Empty: nothing is known to be."""
        self._clock, self._fault, self._since, self._said_at = clock, "", "", float("-inf")
        self._worked = False

    @contextmanager
    def watching(self) -> Iterator[Callable[[], None]]:
        """Watch one call. Gives a function to call when the server begins to answer well.

        Where it answered before, the address cannot have been set wrongly: what stands between, or a page that takes
        the server's place for a while, is to blame, and ModelUnavailable is raised instead.
        """
        try:
            yield self._well
        except ModelMisconfigured as error:
            if self._worked and error.kind in ("address", "certificate"):
                code = error.code if error.code == "unreachable" else None
                raise ModelUnavailable(error.message, code=code) from None
            self._found(error)
            raise

    def _well(self) -> None:
        if self._worked and not self.words:  # at each chunk
            return
        if self.words:
            log.warning("mended: %s", self.words)
        self._worked, self.words, self._fault = True, "", ""

    def _found(self, error: ModelMisconfigured) -> None:
        now = self._clock()
        if error.fault != self._fault:
            self._since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        if error.fault != self._fault or now - self._said_at >= LOGGED_EVERY_S:
            log.error("%s", error.message)
            self._said_at = now
        self._fault, self.words = error.fault, f"{error.fault} (since {self._since})"
