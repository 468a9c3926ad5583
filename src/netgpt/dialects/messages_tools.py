"""Tools of Anthropic's Messages API as OpenAI's functions, and the checks of what is read of a request.

A tool of the caller passes with its schema. One of the provider's that runs at the caller's (its shell, its editor, its
memory, its screen) becomes a function with the arguments that the provider documents. One that runs at the provider is
refused by name: nobody else could run it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from netgpt.errors import RequestError


def invalid(where: str, why: str) -> RequestError:
    """The error for one field: "messages.0.role: why"."""
    return RequestError(f"{where}: {why}", param=where)


def as_object(value: Any, where: str) -> Mapping[str, Any]:
    """Raises RequestError, as `as_list` and `as_text` do: it is missing, or something else."""
    if not isinstance(value, dict):
        raise invalid(where, "Field required" if value is None else "Input should be an object")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(where, "Field required" if value is None else "Input should be a list")
    return value


def as_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise invalid(where, "Field required" if value is None else "Input should be a string")
    return value


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _numbers(description: str, count: int) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "integer"}, "minItems": count, "maxItems": count,
            "description": description}  # fmt: skip


def _one_of(words: str) -> dict[str, Any]:
    return {"type": "string", "enum": words.split()}


_PATH: Final = _text("Absolute path of a file or folder.")
_SHELL: Final = {
    "command": _text("The command to run in the shell, which keeps its state between calls."),
    "restart": {"type": "boolean", "description": "Start the shell anew instead."},
}
_EDITOR: Final = {
    "command": _one_of("view create str_replace insert"),
    "path": _PATH,
    "view_range": _numbers("For view: first and last line, from 1 on; -1 is the end of the file.", 2),
    "file_text": _text("For create: the whole text of the file."),
    "old_str": _text("For str_replace: the text to replace; it must occur exactly once."),
    "new_str": _text("For str_replace: the text that replaces it."),
    "insert_line": {
        "type": "integer",
        "description": "For insert: the line after which to insert; 0 is the beginning.",
    },
    "insert_text": _text("For insert: the text to insert."),
}
_MEMORY: Final = {
    **_EDITOR,
    "command": _one_of("view create str_replace insert delete rename"),
    "path": _text("Path below /memories."),
    "old_path": _text("For rename: the path as it is."),
    "new_path": _text("For rename: the path as it is to be."),
}
_SCREEN: Final = {
    "action": _one_of(
        "key type mouse_move left_click left_click_drag right_click middle_click double_click triple_click screenshot "
        "cursor_position left_mouse_down left_mouse_up scroll hold_key wait zoom"
    ),
    "coordinate": _numbers("x and y in pixels, from the left and the top.", 2),
    "start_coordinate": _numbers("For left_click_drag: where it begins.", 2),
    "text": _text("For type: the text; for key and hold_key: the key or keys; for clicks: keys that are held."),
    "scroll_direction": _one_of("up down left right"),
    "scroll_amount": {"type": "integer"},
    "duration": {"type": "number", "description": "For hold_key and wait: seconds."},
    "region": _numbers("For zoom: left, top, right and bottom in pixels.", 4),
}
_CLIENTS: Final[Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]]] = {
    "bash": ("Runs commands in a shell.", _SHELL, ()),
    "text_editor": ("Views, creates and edits files.", _EDITOR, ("command", "path")),
    "memory": ("Keeps notes between conversations, in files below /memories.", _MEMORY, ("command",)),
    "computer": ("Sees and controls a screen, {size}.", _SCREEN, ("action",)),
}
"""The provider's tools that the caller runs: what each does, its arguments, and which of them are required."""
_DATED: Final = re.compile(r"([a-z0-9_]+?)_(20\d{6})")


def tools_of(value: Any) -> list[dict[str, Any]]:
    """The tools as functions. Raises RequestError, which names one that cannot be passed on."""
    return [_tool(as_object(tool, f"tools.{n}"), f"tools.{n}") for n, tool in enumerate(as_list(value, "tools"))]


def _tool(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = tool.get("type")
    if kind not in (None, "custom", "function"):
        return _providers(tool, str(kind), where)
    schema = as_object(tool.get("input_schema"), f"{where}.input_schema")
    known = ("type", "name", "description", "input_schema", "strict", *_HINTS)
    function = {"name": as_text(tool.get("name"), f"{where}.name"), "parameters": schema}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    rest = {name: each for name, each in tool.items() if name not in known and each is not None}
    _check_callers(tool, where)
    return {"type": "function", "function": function, **rest}


_HINTS: Final = ("defer_loading", "eager_input_streaming", "allowed_callers")
"""When a tool is loaded, and in which pieces its input comes, changes nothing of what it is: all are loaded here."""


def _check_callers(tool: Mapping[str, Any], where: str) -> None:
    callers = tool.get("allowed_callers")
    if callers and "direct" not in as_list(callers, f"{where}.allowed_callers"):
        raise invalid(f"{where}.allowed_callers", "tools that only code calls run at the provider; allow 'direct'")


def _providers(tool: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
    """A tool that the provider defined: as a function where the caller runs it."""
    dated = _DATED.fullmatch(kind)
    if dated is None or dated[1] not in _CLIENTS:
        known = ", ".join(f"{name}_..." for name in _CLIENTS)
        why = f"it runs at its provider, or is not known here, and nobody else could run it; {known} and your own pass"
        raise invalid(f"{where}.type", f"{kind if dated else 'this type'}: {why}")
    does, arguments, required = _CLIENTS[dated[1]]
    _check_callers(tool, where)
    size = f"{tool.get('display_width_px')} by {tool.get('display_height_px')} pixels"
    function = {
        "name": as_text(tool.get("name"), f"{where}.name"),
        "description": does.format(size=size),
        "parameters": {"type": "object", "properties": dict(arguments), "required": list(required)},
    }
    mark = {"cache_control": tool["cache_control"]} if tool.get("cache_control") is not None else {}
    return {"type": "function", "function": function, **mark}


_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


def choice_of(value: Any) -> dict[str, Any]:
    """`tool_choice`, and `parallel_tool_calls` where it says that too."""
    choice = as_object(value, "tool_choice")
    kind = choice.get("type")
    if kind == "tool":
        name = as_text(choice.get("name"), "tool_choice.name")
        said: dict[str, Any] = {"tool_choice": {"type": "function", "function": {"name": name}}}
    elif isinstance(kind, str) and kind in _CHOICES:
        said = {"tool_choice": _CHOICES[kind]}
    else:
        raise invalid("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
    if choice.get("disable_parallel_tool_use"):
        said["parallel_tool_calls"] = False
    return said
