"""`netgpt chat`: a conversation in the terminal, through the whole pipeline, without a server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from netgpt.cli.ask import LOCAL, patient, plain_lines, print_answer
from netgpt.cli.common import console, plain, read_settings, reports_errors, run, say
from netgpt.errors import NetGPTError
from netgpt.exchange import new_id
from netgpt.settings import Settings
from netgpt.settings.routing import Preset
from netgpt.types import Caller, Person, Role

if TYPE_CHECKING:
    from netgpt.app.gateway import Gateway
    from netgpt.exchange import Exchange

HELP = """/left   what left the box for the last answer, and what was hidden
/facts  which facts were written into it
/why    why it went where it went
/new    forget this conversation
/end    leave (as Ctrl-D)"""


@reports_errors
def chat(
    user: str = typer.Option("anonymous", help="The person who asks."),
    model: str = typer.Option("netgpt", help="netgpt, netgpt/edge, netgpt/cloud, or an upstream's name."),
    prefer: Preset | None = typer.Option(None, help="What counts more in the decision; none: routing.prefer."),
) -> None:
    """A conversation in the terminal, without a server.

    /help shows what can be asked about an answer.
    """
    from netgpt.routing.names import model_names

    settings = read_settings()
    model_names(settings).find(model)
    run(_converse(settings, user, model, prefer))


async def _converse(settings: Settings, user: str, model: str, prefer: Preset | None) -> None:
    from netgpt.app.gateway import open_gateway

    gateway = open_gateway(patient(settings))
    try:
        gateway.residency.choose(Person(LOCAL, user))
        say("starting ...")
        await gateway.start()
        await _Conversation(gateway, user, model, prefer).hold()
    finally:
        await gateway.close()


class _Conversation:
    def __init__(self, gateway: Gateway, user: str, model: str, prefer: Preset | None) -> None:
        self.gateway, self.user, self.model, self.prefer = gateway, user, model, prefer
        self.last: Exchange | None = None
        self._begin()

    def _begin(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.id = new_id()

    async def hold(self) -> None:
        """Ask and answer until the end of the input."""
        say("ask; /help for more, /end to leave")
        while (line := _line()) is not None:
            words = line.strip()
            if words == "/end":
                return
            if words.startswith("/"):
                self._command(words)
            elif words:
                await self._ask(words)

    def _command(self, words: str) -> None:
        if words == "/new":
            self._begin()
            return say("a new conversation")
        tell = {"/left": _left, "/facts": _facts, "/why": _why}.get(words)
        if tell is None:
            return say(HELP)
        say(plain_lines(tell(self.last)) if self.last is not None else "nothing was asked yet")

    async def _ask(self, text: str) -> None:
        """One turn. An error is one line, and the turn is taken back: the next one may go well."""
        import orjson

        from netgpt.exchange import Exchange
        from netgpt.web.requests import parse_chat

        self.messages.append({"role": "user", "content": text})
        extension = {"conversation": self.id, "prefer": self.prefer}
        body = {"model": self.model, "messages": self.messages, "stream": True, "user": self.user, "netgpt": extension}
        try:
            asked = parse_chat(orjson.dumps(body), self.gateway.model_names)
            exchange = Exchange(asked, Caller(LOCAL, Role.ADMIN))
            await self.gateway.workflow.run(exchange)
            answer = await print_answer(exchange)
        except NetGPTError as error:
            self.messages.pop()
            return say(f"error: {error.message}")
        self.messages.append({"role": "assistant", "content": answer})
        self.last = exchange
        console.print(_foot(exchange), style="dim", markup=False, highlight=False, soft_wrap=True)


def _line() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None


def _foot(exchange: Exchange) -> str:
    by, hidden = exchange.outcome.answered_by, len(exchange.hidden)
    left = f"{hidden} hidden" if by.route != "edge" and hidden else "nothing left" if by.route == "edge" else "left"
    return plain(f"{by.name}: {by.reason} · {left} · /left /facts /why · netgpt explain {exchange.id}")


def _left(exchange: Exchange) -> str:
    sent = exchange.outbounds.get(exchange.outcome.answered_by.name)
    hidden = [f"{each.placeholder}: {each.kind} ({each.rule})" for each in exchange.hidden]
    return "\n".join([sent.content.decode("utf-8") if sent else "nothing left the box", *hidden])


def _facts(exchange: Exchange) -> str:
    return "\n".join(f"{fact.kind}: {fact.text}" for fact in exchange.chosen) or "none"


def _why(exchange: Exchange) -> str:
    return f"{exchange.outcome.answered_by.reason}\n{exchange.counterfactual()}"
