"""A scripted model for agents: it reads which tools a request offers, and does a small task with them as a model would.

It knows nothing but what the requests hold: it copies what it read, placeholders and all, into its edits. It speaks
Chat Completions; tools are recognised by their names and the names of their parameters, in whatever way an agent has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

TASK: Final = (
    "The repository is in `{folder}`. Read billing/contacts.py and tests/customers.json, look at .env, the logs, the "
    "deployment and who made the last commit. Then make {name} ({mail}) the second contact of ESCALATION, write what "
    "you saw of the environment into HANDOVER.md, and run the tests with `python3 -m unittest -q`."
)
"""What the person asks; `folder`, `name` and `mail` are private too."""
DONE: Final = "Done: the second contact is set and the tests pass."
_LOOK: Final = "cat .env logs/app.log deploy/hosts.yaml README.md && git log --format='%an <%ae> %s'"
_CHECK: Final = "python3 -m unittest -q"
_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "read": ("read_file", "read", "view", "read_files"),
    "edit": ("edit", "replace", "edit_file", "str_replace", "str_replace_editor", "replace_in_file", "editor"),
    "write": ("write_file", "write", "create", "write_to_file"),
    "run": ("run_shell_command", "bash", "shell", "exec_command", "execute_command", "run_commands", "terminal"),
}
"""What is to be done -> the names of tools that do it, in lower case, best first."""
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("file_path", "filepath", "absolute_path", "path", "filename"),
    "old": ("old_string", "oldstring", "old_str", "oldtext", "old_text"),
    "new": ("new_string", "newstring", "new_str", "newtext", "new_text"),
    "content": ("content", "file_text", "text"),
    "command": ("command", "cmd", "commands"),
}
_NUMBERED: Final = re.compile(r"^ *\d+(?:→|\t|\| ?|: ?)", re.MULTILINE)


def agent_model(body: Mapping[str, Any]) -> str | dict[str, Any]:
    """The next step of the task, for `FaultyCloud(reply=...)`: a call of a tool, or the end."""
    history, tools = body.get("messages") or [], _offered(body)
    asked = _asked(history)
    if "SEARCH/REPLACE" in _text(history[0].get("content")):
        return _in_blocks(history)
    if not tools or asked is None:
        return "Second contact of the invoices"  # a title, a summary: what agents ask beside the task
    seen = _results(history)
    step = _Step(tools, asked[0], seen)
    plan = (step.read_contacts, step.read_customers, step.look, step.edit, step.hand_over, step.check)
    done = sum(message.get("role") == "assistant" and bool(message.get("tool_calls")) for message in history)
    if done >= len(plan):
        return step.finish(f"{DONE} Tell {asked[1]}.")
    return _message(done, f"Step {done + 1}.", *plan[done]())


_ID: Final = "Xb7Qw2Ke9Rt4Yu6Io8Pa1S"


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _offered(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name of a tool -> its parameters."""
    functions = [tool.get("function") or {} for tool in body.get("tools") or ()]
    return {function["name"]: function.get("parameters") or {} for function in functions if function.get("name")}


def _asked(history: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Folder and person of the task, as they are seen here; None where this is another question."""
    for message in history:
        found = message.get("role") == "user" and re.search(
            r"repository is in `(.+?)`.*?Then make (.+?) the second", _text(message.get("content")), re.DOTALL
        )
        if found:
            return found[1], found[2]
    return None


def _results(history: list[dict[str, Any]]) -> list[str]:
    """What the tools said to each step."""
    said: list[str] = []
    for message in history:
        if message.get("role") == "assistant" and message.get("tool_calls"):
            said.append("")
        elif message.get("role") == "tool" and said:
            said[-1] += _plain(_text(message.get("content")))
    return said


def _plain(said: str) -> str:
    """A tool's result without what agents put around it: an object of JSON, numbers of lines."""
    with suppress(ValueError):
        found = json.loads(said)
        if isinstance(found, dict):
            said = next((found[name] for name in ("output", "stdout", "result") if found.get(name)), said)
    return _NUMBERED.sub("", said) if len(_NUMBERED.findall(said)) > 3 else said


class _Step:
    """The steps, each as the name of a tool and its arguments."""

    def __init__(self, tools: dict[str, dict[str, Any]], folder: str, seen: list[str]) -> None:
        self._tools, self._folder, self._seen = tools, folder, seen

    def _tool(self, what: str) -> str | None:
        lower = {name.lower(): name for name in self._tools}
        return next((lower[name] for name in _TOOLS[what] if name in lower), None)

    def _call(self, what: str, **given: Any) -> tuple[str, dict[str, Any]]:
        """Raises LookupError where the agent has no such tool."""
        name = self._tool(what)
        if name is None:
            raise LookupError(f"no tool to {what} among {sorted(self._tools)}")
        return name, _fitted(self._tools[name], given)

    def _read(self, path: str) -> tuple[str, dict[str, Any]]:
        if self._tool("read"):
            return self._call("read", path=f"{self._folder}/{path}")
        return self._run(f"cat {path}")

    def _run(self, command: str) -> tuple[str, dict[str, Any]]:
        return self._call("run", command=f"cd '{self._folder}' && {command}")

    def read_contacts(self) -> tuple[str, dict[str, Any]]:
        return self._read("billing/contacts.py")

    def read_customers(self) -> tuple[str, dict[str, Any]]:
        return self._read("tests/customers.json")

    def look(self) -> tuple[str, dict[str, Any]]:
        return self._run(_LOOK)

    def edit(self) -> tuple[str, dict[str, Any]]:
        old, new = _changed(self._seen[0], self._seen[1])
        if self._tool("edit"):
            return self._call("edit", path=f"{self._folder}/billing/contacts.py", old=old, new=new)
        return self._run(
            "python3 - <<'EDIT'\nfrom pathlib import Path\nfile = Path('billing/contacts.py')\n"
            f"old = r'''{old}'''\nnew = r'''{new}'''\ntext = file.read_text()\nassert old in text\n"
            "file.write_text(text.replace(old, new))\nEDIT"
        )

    def hand_over(self) -> tuple[str, dict[str, Any]]:
        began = self._seen[2].find("OPENAI_API_KEY=")
        said = self._seen[2][max(began, 0) :].partition("first version")[0] + "first version\n"
        if self._tool("write"):
            return self._call("write", path=f"{self._folder}/HANDOVER.md", content=said)
        return self._run(f"cat > HANDOVER.md <<'THERE'\n{said}THERE")

    def check(self) -> tuple[str, dict[str, Any]]:
        return self._run(_CHECK)

    def finish(self, words: str) -> str | dict[str, Any]:
        """The end: a text, or a call where an agent has one for it."""
        for name in self._tools:
            if name.lower() in ("attempt_completion", "submit_and_exit"):
                return _message(99, words, name, _fitted(self._tools[name], {"result": words}))
        if set(self._tools) == {"bash"}:
            return _message(99, words, *self._call("run", command="echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"))
        return words


def _message(number: int, words: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    call = {"name": tool, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"content": words, "tool_calls": [{"id": f"call_{number:02d}{_ID}", "type": "function", "function": call}]}


def _changed(contacts: str, customers: str) -> tuple[str, str]:
    """The lines to replace, and by what: both hold what was read."""
    old = re.search(r"^ESCALATION = \{\n.*?^\}", contacts, re.MULTILINE | re.DOTALL)
    second = re.search(r'"email": "(.+?)"', customers)
    if old is None or second is None:
        raise LookupError("what was read is not there, or changed beyond reading")
    return old[0], re.sub(r'"second": ".*', lambda _: f'"second": "{second[1]}",', old[0])


def _fitted(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, under the names that the tool's parameters have; required ones beside it get something."""
    known, fitted = parameters.get("properties") or {}, {}
    for what, value in given.items():
        for name, schema in known.items():
            if name.lower() in _NAMES.get(what, (what,)):
                fitted[name] = [value] if schema.get("type") == "array" else value
                break
    if "edits" in known and "old" in given:
        fitted["edits"] = [_fitted(known["edits"]["items"], {"old": given["old"], "new": given["new"]})]
    for name in parameters.get("required") or ():
        if name not in fitted:
            schema = known.get(name) or {}
            usual = {"boolean": False, "integer": 1, "number": 1, "array": [], "object": {}}
            fitted[name] = (schema.get("enum") or [usual.get(str(schema.get("type")), "a step of the task")])[0]
    return fitted


def _in_blocks(history: list[dict[str, Any]]) -> str:
    """Aider's way: files come in the messages, edits go back as blocks, and it says what failed."""
    said = [_text(message.get("content")) for message in history]
    whole = "\n".join(said)
    old, new = _changed(whole[whole.rfind("Whom to call, by role") :], whole[whole.rfind('"id": 4711') :])
    if not any("not found in" in each for each in said):  # what a person would forget: the tests say so
        new = old.replace('""', '"nobody"')
    return (
        "I set the second contact.\n\n"
        f"billing/contacts.py\n```python\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n```\n"
    )
