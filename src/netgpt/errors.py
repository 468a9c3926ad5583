"""Every error that NetGPT raises, with the HTTP status that a client gets.

    NetGPTError                     500
    ├── RequestError                400   the caller can fix it
    │   ├── ContextTooLong          400
    │   ├── PayloadTooLarge         413
    │   ├── AuthenticationError     401
    │   ├── PermissionDenied        403
    │   ├── NotFound                404
    │   └── RateLimited             429
    ├── SettingsError               500   the owner can fix it (file and line are in the message)
    ├── Overloaded                  503   more requests than the box can answer in time
    ├── PrivacyError                503   nothing was sent: the text could not be made safe
    │   ├── DetectorError           503   the detector failed, hangs or is missing
    │   └── NotDisclosable          503   policy keeps this content on the box
    ├── ModelError                  502   a model, on the box or not, did not do its work
    │   ├── ModelUnavailable        503   not reachable, not configured, breaker open, still starting
    │   │   ├── AdapterGone         503   the adapter asked for is not loaded (any more)
    │   │   └── AdapterRefused      503   the engine cannot load one of its adapters
    │   ├── ModelTimeout            504   silent for too long
    │   ├── ModelRejected           (its own status)  the model refused the request itself
    │   │   └── ModelMisconfigured  502   it refused our key, account, model's name or address: its owner can fix it
    │   └── BrokenStream            502   cut, stalled or malformed answer
    ├── ToolFailed                  502   a server of tools is dead, slow, lies or floods: it was cut off
    ├── LowConfidence               422   the box is not sure of its answer, and was told to refuse it then
    ├── StoreError                  507   the database is full, locked or damaged
    └── PipelineError               500   the pipeline was put together wrongly

An error's `message` is safe to show: it says what failed, where, and what to do, and never holds a request's text, a
key or a personal value. Errors of libraries are mapped to these where they enter.
"""

from __future__ import annotations

import re
from typing import Any, Final

_FILE: Final = re.compile(r"(?<![\w:/.~])/(?!v1/)[^\s:,;`'\")]+")


class NetGPTError(Exception):
    """Base class. `type` and `code` are fields of OpenAI's error object; `retry_after` is in seconds, or None."""

    status = 500
    type = "server_error"
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param
        self.status = status or type(self).status
        self.retry_after = retry_after

    def as_openai(self) -> dict[str, Any]:
        """OpenAI's error body: `{"error": {"message", "type", "code", "param"}}`."""
        return {"error": {"message": self.message, "type": self.type, "code": self.code, "param": self.param}}


class RequestError(NetGPTError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class ContextTooLong(RequestError):
    code = "context_length_exceeded"


class PayloadTooLarge(RequestError):
    status = 413
    code = "payload_too_large"


class AuthenticationError(RequestError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class PermissionDenied(RequestError):
    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFound(RequestError):
    status = 404
    code = "not_found"


class RateLimited(RequestError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class Overloaded(NetGPTError):
    status = 503
    code = "overloaded"


class SettingsError(NetGPTError):
    """`faults`: the settings that are wrong, where they are known one by one (`settings.source.SettingFault`)."""

    type = "settings_error"
    code = "invalid_settings"

    def __init__(self, message: str, *, faults: tuple[Any, ...] = (), **fields: Any) -> None:
        super().__init__(message, **fields)
        self.faults = faults


class PrivacyError(NetGPTError):
    status = 503
    type = "privacy_error"
    code = "nothing_left_the_box"


class DetectorError(PrivacyError):
    code = "detector_unavailable"


class NotDisclosable(PrivacyError):
    code = "kept_on_the_box"


class ModelError(NetGPTError):
    status = 502
    type = "model_error"
    code = "model_error"
    told: Any = None
    """What the server said (`models.refusals.Told`), for who reads it; nothing of it is safe to show."""


class ModelUnavailable(ModelError):
    status = 503
    code = "model_unavailable"


class AdapterGone(ModelUnavailable):
    code = "adapter_gone"


class AdapterRefused(ModelUnavailable):
    """`path` is the file that the engine could not load."""

    code = "adapter_refused"

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class ModelTimeout(ModelError):
    status = 504
    code = "model_timeout"


class ModelRejected(ModelError):
    """The model answered with an error; `status` is its own. `not_begun`: nothing was done, a retry is safe (429)."""

    code = "model_rejected_request"
    not_begun = False


class ModelMisconfigured(ModelRejected):
    """No caller can mend it: the owner of the box has to. `kind`: key, account, model, address, certificate or loop;
    `fault`: what is wrong and where it is set, without the server's name."""

    code = "model_misconfigured"

    def __init__(
        self, message: str, *, kind: str, fault: str, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.kind, self.fault = kind, fault


class BrokenStream(ModelError):
    code = "broken_stream"


class ToolFailed(NetGPTError):
    status = 502
    type = "tool_error"
    code = "tool_failed"


class LowConfidence(NetGPTError):
    status = 422
    type = "confidence_error"
    code = "low_confidence"


class StoreError(NetGPTError):
    status = 507
    type = "store_error"
    code = "store_unavailable"

    def as_openai(self) -> dict[str, Any]:
        """Callers are told what failed; where the box keeps its files is for its owner: terminal, log and doctor."""
        path, is_path, _ = self.message.partition(": ")
        is_place = is_path and path.startswith(("/", "postgresql://"))
        text = self.message.replace(path, "the store") if is_place else self.message
        shown = super().as_openai()
        shown["error"]["message"] = _FILE.sub("its file", text)
        return shown


class PipelineError(NetGPTError):
    type = "workflow_error"
    code = "invalid_workflow"
