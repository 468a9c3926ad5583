"""What a request asks, without what a benchmark, a program or a habit wraps around it.

Taken off: examples that come before the question, JSON and tags, role text ("You are an expert ..."), how to answer
("Answer with A, B, C or D", "Let's think step by step"), labels ("Question:", "Answer:"). Options become a list. What
stays is the task as a person would say it, so that the same task in another wrapper reads the same. Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 6_000  # characters that are read: of a longer text the first two thirds and the last third of these
_ENDS: Final = (700, 500)  # characters at either end of a task in which its instruction stands
_FIELDS: Final = (
    "system", "instruction", "instructions", "task", "context", "passage", "question", "query", "prompt", "problem",
    "text", "content", "input", "message", "choices", "options",
)  # fmt: skip
"""Of a JSON wrapper, in the order in which people write them; others are left out where one of these is there."""
_ASKING: Final = r"question|problem|query|frage|aufgabe|pregunta|problema|domanda|pergunta|вопрос|问题|質問|q"
_ANSWERING: Final = (
    r"answer|response|solution|output|assistant|antwort|réponse|respuesta|risposta|resposta|ответ|答案|回答|a"
)
_MARK: Final = r"[ \t]*\d{0,3}[ \t]*"
_QUESTION = re.compile(rf"(?:^|\n)[ \t#*>]*(?:{_ASKING}|input|user|human|example){_MARK}[.:)：]\**", re.I)
_ANSWER = re.compile(rf"(?:^|\n)[ \t#*>]*(?:{_ANSWERING}){_MARK}[:：]\**", re.I)
_LABEL = re.compile(rf"^[ \t#*>]*(?:{_ASKING}|input|user|human|instruction|prompt){_MARK}[:：]\**\s*", re.I)
_TRAILING = re.compile(
    rf"(?:^|\n)[ \t#*>]*(?:the |your |final |correct ){{0,3}}(?:{_ANSWERING})[ \t]*[:：]?[ \t*]*$", re.I
)
_OPTION = re.compile(r"(?:^|\n)[ \t>*-]*(?:option |choice )?\(?([A-Pa-p]|[1-9])[.):：][ \t]*([^\n]{1,600})", re.I)
_INLINE = re.compile(r"(?<=\s)\(([A-Ja-j1-9])\)\s?([^()\n]{1,200}?)(?=\s*\([A-Ja-j1-9]\)|\s*$|\n)")
_LISTED = re.compile(r"(?:^|\n)[ \t]*(?:answer )?(?:choices|options)[ \t]*[:：][ \t]*\n?", re.I)
_TAG = re.compile(
    r"</?[a-zA-Z_][\w-]{0,30}>|\[/?INST\]|<\|[^|\n]{1,30}\|>(?:system|user|assistant)?|<</?SYS>>|```(?:json|text)?(?=\n?$)"
)
_SENTENCE = re.compile(r"[^.!?。？！\n]+(?:[.!?](?=\d|\w\.)[^.!?。？！\n]*)*[.!?。？！]*[\"”)]*[ \t]*\n*")
_ASKS_FOR: Final = (
    "select|choose|pick|give|provide|return|output|respond|reply|write|state|mark|indicate|enclose|put|place|print"
)
_HOW = re.compile(
    "|".join(
        (
            r"step[- ]by[- ]step|schritt für schritt|paso a paso|étape par étape|passo (?:a|dopo) passo|一步一步",
            r"\b(?:show|explain) (?:all |your |the )*(?:work|reasoning|thinking|steps)\b|chain of thought",
            r"\b(?:think|reason) (?:carefully|it|this|through|before|about the)\b|take a deep breath",
            r"\b(?:after|with) careful thought|\\boxed|\bfinal answer\b",
            r"\b(?:answer|respond|reply) (?:(?:only|just|directly|briefly|concisely) )?(?:with|by|in|using)\b",
            r"\b(?:the|your) answer (?:must|should|is to be|will be|choice)\b",
            r"\b(?:answer|solve|consider) the following\b.{0,60}\b(?:question|problem|query|quer|item)s?\b",
            rf"\b(?:{_ASKS_FOR})\b.{{0,60}}\b(?:answer|letter|options?|choices?|alternative)\b",
            r"\b(?:multiple|single)[- ](?:choice|answer|select)\b",
            r"\bonly (?:one|the) (?:correct )?(?:letter|option|answer)\b|\bno (?:explanations?|extra text)\b",
            r"\bdo not (?:explain|include|add|give|provide|output|write)\b",
            r"\bexplanation\b.{0,40}\b(?:not?|within|sentences?|short|brief)\b",
            r"\bthe following (?:is|are)\b.{0,80}\b(?:questions?|problems?|examples?)\b",
            r"\bhere (?:is|are) (?:some|an?|the|a few) (?:examples?|questions?)\b",
            r"\bin the (?:following|exact) (?:json )?format\b|\bthis is (?:very )?important to my\b|\bi'?ll tip you\b",
            r"\b(?:antworte|wähle)\b.{0,50}\b(?:buchstabe|option|antwort)",
            r"\b(?:elige|responde)\b.{0,50}\b(?:letra|opción|respuesta)",
            r"\b(?:choisis|réponds|répondez|choisissez)\b.{0,50}\b(?:lettre|option|réponse)",
            r"请选择|只(?:回答|输出)",
        )
    ),
    re.I,
)
"""A sentence of which this is true says how to answer, not what."""
_ROLE = re.compile(
    r"^\s*(?:system[:：]\s*)?(?:you(?:'re| are) (?:an?|the|now|chatgpt|gpt)\b"
    r"|act as an?\b.{0,60}(?:assistant|expert|ai)\b|as an? (?:expert|experienced|helpful)\b[^,]{0,60},"
    r"|(?:du|sie) (?:bist|sind) ein|tu es un|eres un|sei un|você é um)",
    re.I,
)
_PLEASE = re.compile(
    r"^(?:(?:please|kindly|hi|hello|hey|ok|so|um|well|bitte|por favor|s'il (?:te|vous) plaît)[,!.]?\s+)+", re.I
)
_SPACE = re.compile(r"[ \t\u00a0]+")
_LINES = re.compile(r"\n{2,}")
_CONTENT = re.compile(r"[^\W_]")
_NONE = re.compile(
    r"(?:^|\n)[ \t]*(?:context|passage|input|hint|background)[ \t]*[:：][ \t]*(?:none|n/a|null|-)?[ \t]*(?=\n|$)", re.I
)
_FEWEST = 8  # characters: less of a text than this is no task


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without its wrapper."""

    task: str  # instruction and question, without the options
    options: tuple[str, ...] = ()
    at_once: bool = False  # an option is wanted at once, without a word on the way: the text ends with "Answer:"

    @property
    def ends(self) -> str:
        """Where the instruction stands: both ends of a long task, all of a short one."""
        first, last = _ENDS
        return self.task if len(self.task) <= first + last else f"{self.task[:first]}\n{self.task[-last:]}"


def clipped(text: str) -> str:
    """The part of a text that is read, so that a very long one costs no more than `LONGEST` characters.

    Halves of characters (lone surrogates), which JSON lets through, become question marks.
    """
    if len(text) > LONGEST:
        tail = LONGEST // 3
        text = text[: LONGEST - tail] + text[-tail:]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def asked(text: str) -> Asked:
    """What `text` asks. Never raises; what cannot be taken apart stays as it is."""
    text = _TAG.sub(" ", _out_of_json(clipped(text).replace("\r\n", "\n")))
    text = _last_question(text)
    at_once = _TRAILING.search(text.rstrip()) is not None
    text, options = _without_options(_trimmed(_NONE.sub("", text)))
    text = _QUESTION.sub("\n", _trimmed(_without_how(text)))
    return Asked(_LINES.sub("\n", _SPACE.sub(" ", text)).strip(), options, at_once and bool(options))


def _out_of_json(text: str) -> str:
    bare = text.strip().removeprefix("```json").removesuffix("```").strip()
    if not (bare[:1] in "{[" and bare[-1:] in "}]" and len(bare) > 1):
        return text
    import orjson

    try:
        found = orjson.loads(bare)
    except ValueError:
        return text
    return "\n".join(_words_in(found)) or text


def _words_in(value: Any, depth: int = 0) -> list[str]:
    """The texts of a JSON value that people write tasks into; of messages the last one of the user."""
    if isinstance(value, str):
        return [value]
    if depth > 4:
        return []
    if isinstance(value, list):
        roles = [one for one in value if isinstance(one, Mapping) and one.get("role") == "user"]
        if roles:
            return _words_in(roles[-1].get("content"), depth + 1)
        if depth and value and all(isinstance(one, str | int | float) for one in value):
            return [f"{chr(65 + n)}. {one}" for n, one in enumerate(value[:16])]
        return [word for one in value[:16] for word in _words_in(one, depth + 1)]
    if isinstance(value, Mapping):
        if isinstance(value.get("messages"), list):
            return _words_in(value["messages"], depth + 1)
        named = {str(key).lower(): one for key, one in value.items()}
        known = [named[field] for field in _FIELDS if field in named]
        return [word for one in known for word in _words_in(one, depth + 1)]
    return []


def _last_question(text: str) -> str:
    """The last of several questions, where the others have their answers: examples. What stood before them stays."""
    asks = list(_QUESTION.finditer(text))
    if len(asks) < 2:
        return text
    if not _ANSWER.search(text, asks[0].end(), asks[-1].start()):
        return text
    last = text[asks[-1].end() :].strip()
    return f"{text[: asks[0].start()]}\n{last}" if len(last) >= _FEWEST else text


def _trimmed(text: str) -> str:
    """Without labels at either end, and without words of courtesy at its start."""
    text = text.strip()
    for _ in range(2):
        shorter = _TRAILING.sub("", _LABEL.sub("", text)).strip()
        if len(shorter) < _FEWEST:
            break
        text = shorter
    courteous = _PLEASE.sub("", text)
    return courteous if len(courteous) >= _FEWEST else text


def _without_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The text before and after the options, and the options: two or more in the order of the alphabet or numbers."""
    for form in (_OPTION, _INLINE):
        found = list(form.finditer(text))
        start = next((n for n, one in enumerate(found) if one[1] in "Aa1"), None)
        if start is None:
            continue
        if found[start][1] == "1" and "?" not in text[: found[start].start()]:
            continue  # a numbered list without a question before it is text
        run = [found[start]]
        for one in found[start + 1 :]:
            if ord(one[1]) == ord(run[-1][1]) + 1:
                run.append(one)
        before = _LISTED.sub("\n", text[: run[0].start()])
        if len(run) >= 2 and len(before.strip()) >= _FEWEST:
            return f"{before}\n{text[run[-1].end() :]}", tuple(one[2].strip() for one in run)
    return text, ()


def _without_how(text: str) -> str:
    """Without sentences that say how to answer or who one is, unless nothing would be left."""
    sentences = _SENTENCE.findall(text)
    kept = [
        one for one in sentences
        if not (len(one) < 400 and (_HOW.search(one) or _ROLE.match(one))) and (one.isspace() or _CONTENT.search(one))
    ]  # fmt: skip
    left = "".join(kept)
    if len(left.strip()) >= _FEWEST:
        return left
    return text
