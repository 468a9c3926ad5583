"""Gives tools to models whose chat template does not know them.

Small models often ship a ChatML template that ignores `tools`: the request's functions would silently never
reach the model. llama.cpp reads the way a template writes tool calls and parses (and constrains) the model's
answer accordingly, so a template that writes them is enough. Without tools the model's own template is used.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["with_tools"]

CHATML_TOOLS = Path(__file__).with_name("chatml_tools.jinja")


def with_tools(template: str) -> str | None:
    """The template to use instead of `template`, or None when that knows tools or is not ChatML."""
    if "tools" in template or "<|im_start|>" not in template:
        return None
    ours = CHATML_TOOLS.read_text(encoding="utf-8").rstrip("\n")
    return "{%- if tools %}" + ours + "{%- else %}" + template + "{%- endif %}"
