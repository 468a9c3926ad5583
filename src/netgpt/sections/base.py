"""What every section of the settings is made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

__all__ = ["HttpAddress", "Section"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _http_address(value: str | None) -> str | None:
    if value is not None and not re.match(r"https?://[^/\s]+", value):
        raise ValueError('must be an HTTP address, such as "https://cloud.example/v1"')
    return value


HttpAddress = Annotated[str | None, AfterValidator(_http_address)]
