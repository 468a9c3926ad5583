"""The names of models that callers may write: the box's own, those of its targets, and the owner's aliases."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from netgpt.errors import NotFound, SettingsError
from netgpt.routing.candidates import DECIDE, target_names
from netgpt.settings import Settings

EMBED_MODEL: Final = "netgpt/embed"
STATIC_MODEL: Final = "netgpt/embed-static"
EMBEDDERS: Final = frozenset({EMBED_MODEL, STATIC_MODEL})
_SHOWN: Final = 24
"""Of the names in an error."""


class ModelNames(frozenset[str]):
    """The names that are no aliases: a set, with `find` for what a caller wrote.

    An alias beats a target's name, never `netgpt` or what begins with `netgpt/`; a pattern ("claude-*") is asked last,
    the longest first.
    """

    aliases: Mapping[str, str]
    _patterns: tuple[tuple[re.Pattern[str], str], ...]

    def __new__(cls, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> ModelNames:
        """Raises SettingsError: an alias for nothing, or for the box's own names."""
        made = super().__new__(cls, names)
        for alias, name in (aliases or {}).items():
            if name not in made and name not in EMBEDDERS:
                raise SettingsError(f'models.aliases: "{alias}" = "{name}": {_unknown(name, sorted(made | EMBEDDERS))}')
            if alias in EMBEDDERS or alias == DECIDE or alias.startswith(f"{DECIDE}/") or not alias.strip("* "):
                raise SettingsError(f'models.aliases: "{alias}" cannot be another model\'s name')
        made.aliases = dict(aliases or {})
        longest = sorted((alias for alias in made.aliases if "*" in alias), key=len, reverse=True)
        made._patterns = tuple(
            (re.compile(re.escape(alias).replace(r"\*", ".*"), re.DOTALL), made.aliases[alias]) for alias in longest
        )
        return made

    @property
    def shown(self) -> list[str]:
        """What a list of models tells: no patterns."""
        return sorted(self | {alias for alias in self.aliases if "*" not in alias})

    def known(self, asked: str) -> str | None:
        """The name that `asked` stands for; None: nothing."""
        if asked in self.aliases and "*" not in asked:
            return self.aliases[asked]
        if asked in self or asked in EMBEDDERS:
            return asked
        return next((name for pattern, name in self._patterns if pattern.fullmatch(asked)), None)

    def find(self, asked: str) -> str:
        """The name of a model that chats. Raises NotFound, which names the near miss; what was asked is not echoed."""
        name = self.known(asked)
        if name in EMBEDDERS:
            raise NotFound(
                "that model makes embeddings: ask it at /v1/embeddings", code="model_not_found", param="model"
            )
        if name is None:
            cure = "; or let the owner give it a name of yours: [models.aliases] in netgpt.toml"
            raise NotFound(_unknown(asked, self.shown) + cure, code="model_not_found", param="model")
        return name


def _unknown(asked: str, names: Sequence[str]) -> str:
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(asked.lower()[:256], folded, 1)
    meant = f' (did you mean "{folded[near[0]]}"?)' if near else ""
    cut = ", ..." if len(names) > _SHOWN else ""
    return f"no model of that name here{meant}; the models are: {', '.join(names[:_SHOWN])}{cut}"


def model_names(settings: Settings) -> ModelNames:
    """As the settings say. Raises SettingsError."""
    return ModelNames({DECIDE, *target_names(settings)}, settings.models.aliases)
