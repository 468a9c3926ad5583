"""NetGPT: the edge half of a cloud LLM.

What stands in `__all__` is the public interface; everything else may change between versions. Importing this module
loads nothing else: each name is fetched at its first use.

>>> redact("my mail is ada@mill.example", names=False).text
'my mail is [EMAIL_1]'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netgpt import errors, testing
    from netgpt.app.gateway import Gateway, open_gateway
    from netgpt.errors import DetectorError, ModelError, NetGPTError, PrivacyError, RequestError, SettingsError
    from netgpt.models.catalog import BUNDLED, Bundled
    from netgpt.privacy.redact import Redacted, Redactor, redact
    from netgpt.privacy.registry import DETECTORS, detector
    from netgpt.registry import PluginRegistry
    from netgpt.routing.signals import SIGNALS, Hint
    from netgpt.settings import Settings, load_settings
    from netgpt.stages import STAGES
    from netgpt.training.example import Example
    from netgpt.training.recipes import RECIPES, ExampleRecipe
    from netgpt.types import Span

__version__ = "0.1.0"
__all__ = [
    "BUNDLED",
    "DETECTORS",
    "RECIPES",
    "SIGNALS",
    "STAGES",
    "Bundled",
    "DetectorError",
    "Example",
    "ExampleRecipe",
    "Gateway",
    "Hint",
    "ModelError",
    "NetGPTError",
    "PluginRegistry",
    "PrivacyError",
    "Redacted",
    "Redactor",
    "RequestError",
    "Settings",
    "SettingsError",
    "Span",
    "__version__",
    "detector",
    "errors",
    "load_settings",
    "open_gateway",
    "redact",
    "testing",
]  # fmt: skip

_HOMES = {
    "netgpt.app.gateway": "Gateway open_gateway",
    "netgpt.errors": "DetectorError ModelError NetGPTError PrivacyError RequestError SettingsError",
    "netgpt.models.catalog": "BUNDLED Bundled",
    "netgpt.privacy.redact": "Redacted Redactor redact",
    "netgpt.privacy.registry": "DETECTORS detector",
    "netgpt.registry": "PluginRegistry",
    "netgpt.routing.signals": "SIGNALS Hint",
    "netgpt.settings": "Settings load_settings",
    "netgpt.stages": "STAGES",
    "netgpt.training.example": "Example",
    "netgpt.training.recipes": "RECIPES ExampleRecipe",
    "netgpt.types": "Span",
}
"""Module -> the names that it gives."""


def __getattr__(name: str) -> Any:
    if name in ("errors", "testing"):
        return import_module(f"netgpt.{name}")
    for home, names in _HOMES.items():
        if name in names.split():
            value = globals()[name] = getattr(import_module(home), name)
            return value
    raise AttributeError(f"module 'netgpt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
