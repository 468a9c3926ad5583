"""What the door knows of those who come: tokens, limits, wrong tries. One per app, kept beside the box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netgpt.build import Box
from netgpt.policy.access import BOX, check_access
from netgpt.policy.engine import Policy
from netgpt.store.rows import KeyLimits
from netgpt.types import Caller
from netgpt.web.limits import Limiter
from netgpt.web.lockout import Lockout, proxies

if TYPE_CHECKING:
    from netgpt.web.oidc import TokenVerifier

__all__ = ["UNSIGNED", "Access"]

_REMEMBERED: Final = 5_000
UNSIGNED: Final = "invalid_token"
"""Code of the refusal of a token that nobody vouches for: it counts as a guess."""


class Access:
    """The parts that `auth.caller_of` asks."""

    def __init__(self, box: Box) -> None:
        """Raises SettingsError: `oidc.ca_file` cannot be read."""
        settings = box.settings
        self.lockout = Lockout(settings.lockout)
        self.proxies = proxies(settings.server.trusted_proxies)
        self.limiter = Limiter(box.store.limits.use, settings.remotes)
        self.tokens: TokenVerifier | None = None
        if settings.oidc.issuer is not None:
            from netgpt.web.oidc import TokenVerifier

            self.tokens = TokenVerifier(settings.oidc)
        oidc = settings.oidc
        self.token_limits = KeyLimits(
            oidc.requests_per_minute,
            oidc.tokens_per_minute,
            oidc.tokens_per_day,
            oidc.cost_per_day,
            oidc.cost_per_month,
        )
        """Of each person who comes with a token."""
        box.metrics.listeners.append(self.limiter.exchange_ended)
        self._box = box
        self._asked_of: Policy | None = None
        self._allowed: set[tuple[Caller, str, str | None]] = set()

    def allow(self, caller: Caller, action: str, user: str | None = None) -> None:
        """Whether the policy lets `caller` do `action` (ask, administer) with the box, speaking for `user`.

        Raises PermissionDenied; operators and admins are told the rule. What was allowed is remembered until the
        policy changes: asking it costs ten times as much.
        """
        policy, key = self._box.policy, (caller, action, user)
        if policy is not self._asked_of:
            self._allowed.clear()
            self._asked_of = policy
        if key in self._allowed:
            return
        check_access(policy, caller, action, BOX, user=user)
        if len(self._allowed) >= _REMEMBERED:
            self._allowed.clear()
        self._allowed.add(key)

    async def close(self) -> None:
        """Stop asking the issuer."""
        if self.tokens is not None:
            await self.tokens.close()
