"""From examples to token ids, exactly as the engine reads them, and to batches that compute shared prefixes once.

The engine renders the model's own chat template and tokenizes the result with the special tokens recognized. The
tokenizer of a GGUF is built here from the file's own vocabulary, merges and pre-tokenizer: general converters drop
the latter, and numbers then fall into other tokens than the engine's.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.errors import RequestError, SettingsError
from netgpt.models.engine import with_tools
from netgpt.models.gguf import SCALARS, STRING, GgufHeader
from netgpt.training.example import Example
from netgpt.training.lora.weights import Base, FolderBase, GgufBase

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHATML: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The engine's template for a model that brings none."""
GPT2_SPLIT: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPLITS: Final[dict[str, tuple[str, ...]]] = {
    "gpt-2": (GPT2_SPLIT,),
    "smollm": (r"\p{N}", GPT2_SPLIT),
    "qwen2": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+",
    ),
    "llama-bpe": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+",
    ),
}
"""`tokenizer.ggml.pre` -> the patterns that split a text before merging, applied one after another."""
CONTROL, USER_DEFINED = 3, 4
"""GGUF's numbers for kinds of tokens."""


@dataclass(frozen=True)
class Encoded:
    """One example as token ids: the loss is on `ids[start:]`."""

    ids: tuple[int, ...]
    start: int


class ChatTokenizer:
    """A tokenizer with a chat template. `end_id` closes an answer; `texts`: the special tokens that templates name."""

    def __init__(
        self, tokenizer: Tokenizer, template: str, end_id: int, bos_id: int | None, texts: dict[str, str]
    ) -> None:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self._tokenizer, self._bos_id = tokenizer, bos_id
        self.end_id, self.template, self.texts = end_id, template, texts
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refused
        environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
        self._template = environment.from_string(with_tools(template) or template)  # as the engine is given it

    @property
    def bos_or_end(self) -> int:
        """The token that begins a text, for configurations that need one."""
        return self.end_id if self._bos_id is None else self._bos_id

    def tokenizer_json(self) -> str:
        """The content of a `tokenizer.json`."""
        return str(self._tokenizer.to_str(pretty=False))

    def render(self, messages: Sequence[dict[str, Any]]) -> str:
        """The conversation as text, up to where the assistant's answer begins. Raises RequestError."""
        from jinja2 import TemplateError

        try:
            return self._template.render(messages=list(messages), add_generation_prompt=True, **self.texts)
        except (TemplateError, TypeError) as error:
            raise RequestError(
                f"the model's chat template cannot render an example ({type(error).__name__}); "
                "contents must be plain text and roles those that the model knows"
            ) from None

    def prompt_ids(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The tokens that the engine reads for this conversation."""
        ids = self._ids(self.render(messages), plain=False)
        return ids if self._bos_id is None or ids[:1] == [self._bos_id] else [self._bos_id, *ids]

    def text_ids(self, text: str) -> list[int]:
        """The tokens of a plain text: what looks like a special token in it stays text."""
        return self._ids(text, plain=True)

    def _ids(self, text: str, *, plain: bool) -> list[int]:
        self._tokenizer.encode_special_tokens = plain
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode(self, example: Example) -> Encoded:
        """Prompt, answer and end token; no end token for a one-token answer of a closed list: it costs a logit row."""
        prompt = self.prompt_ids(example.messages)
        answer = self.text_ids(example.answer)
        if not (example.options and len(answer) == 1):
            answer = [*answer, self.end_id]
        return Encoded((*prompt, *answer), len(prompt))


def load_tokenizer(base: Base) -> ChatTokenizer:
    """The tokenizer and template of a base. Raises SettingsError when the tokenizer is of an unknown kind."""
    if isinstance(base, GgufBase):
        return _from_gguf(base)
    if isinstance(base, FolderBase):
        return _from_folder(base)
    raise SettingsError(f"{base.path}: no tokenizer is known for this kind of base")


def _from_gguf(base: GgufBase) -> ChatTokenizer:
    metadata = base.header.metadata
    kind = metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise SettingsError(f"{base.path}: its tokenizer is {kind!r}; from a GGUF the trainer reads byte-level BPE "
                            "('gpt2'). Take the Hugging Face folder of this model")  # fmt: skip
    tokens: list[str] = _array(base.path, base.header, "tokenizer.ggml.tokens")
    merges: list[str] = _array(base.path, base.header, "tokenizer.ggml.merges")
    kinds: list[int] = _array(base.path, base.header, "tokenizer.ggml.token_type")
    tokenizer = _byte_level(tokens, merges, kinds, str(metadata.get("tokenizer.ggml.pre", "default")), base.path)
    eos = metadata.get("tokenizer.ggml.eot_token_id", metadata.get("tokenizer.ggml.eos_token_id"))
    if not isinstance(eos, int):
        raise SettingsError(f"{base.path}: the file names no token that ends an answer")
    bos = metadata.get("tokenizer.ggml.bos_token_id") if metadata.get("tokenizer.ggml.add_bos_token") else None
    texts = {
        f"{name}_token": tokens[at]
        for name in ("bos", "eos")
        if isinstance(at := metadata.get(f"tokenizer.ggml.{name}_token_id"), int)
    }
    return ChatTokenizer(tokenizer, metadata.get("tokenizer.chat_template") or CHATML, eos, bos, texts)


def _byte_level(tokens: list[str], merges: list[str], kinds: list[int], pre: str, path: Path) -> Tokenizer:
    """llama.cpp's byte-level BPE: split by the patterns of `pre`, then merge."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    patterns = SPLITS.get(pre)
    if patterns is None:
        raise SettingsError(f"{path}: its pre-tokenizer is {pre!r}, which the trainer does not know (it knows "
                            f"{', '.join(SPLITS)}). Take the Hugging Face folder of this model")  # fmt: skip
    vocab = {token: number for number, token in enumerate(tokens)}
    # A merge into what is no token can never apply (files of random weights carry one such); the library refuses it.
    known = (merge.partition(" ") for merge in merges if merge.replace(" ", "", 1) in vocab)
    pairs = [(left, right) for left, _, right in known]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=pairs, ignore_merges=pre == "llama-bpe"))
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    for kind, add in ((CONTROL, tokenizer.add_special_tokens), (USER_DEFINED, tokenizer.add_tokens)):
        marked = [token for token, of in zip(tokens, kinds, strict=False) if of == kind]
        add([AddedToken(token, special=kind == CONTROL, normalized=False) for token in marked])
    return tokenizer


def _from_folder(base: FolderBase) -> ChatTokenizer:
    from tokenizers import Tokenizer

    file = base.path / "tokenizer.json"
    if not file.is_file():
        raise SettingsError(f"{base.path}: no tokenizer.json here; save the tokenizer in its fast form")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    settings = _json(base.path / "tokenizer_config.json")
    texts = {key: text for key in ("bos_token", "eos_token") if (text := _text_of(settings.get(key)))}
    eos = base.config.get("eos_token_id")
    eos = eos[0] if isinstance(eos, list) else eos
    end = tokenizer.token_to_id(texts["eos_token"]) if "eos_token" in texts else eos
    if not isinstance(end, int):
        raise SettingsError(f"{base.path}: tokenizer_config.json and config.json name no token that ends an answer")
    bos = tokenizer.token_to_id(texts["bos_token"]) if settings.get("add_bos_token") and "bos_token" in texts else None
    own = base.path / "chat_template.jinja"
    template = own.read_text(encoding="utf-8") if own.is_file() else settings.get("chat_template")
    return ChatTokenizer(tokenizer, template if isinstance(template, str) and template else CHATML, end, bos, texts)


def _array(path: Path, header: GgufHeader, key: str) -> list[Any]:
    """The items of a metadata array of texts or numbers; the header's own reader keeps only their count."""
    at = header.value_at.get(key)
    if at is None:
        raise SettingsError(f"{path}: lacks {key}, so its tokenizer cannot be built")
    with path.open("rb") as file:
        file.seek(at)
        kind, count = struct.unpack("<IQ", file.read(12))
        if kind == STRING:
            return [file.read(struct.unpack("<Q", file.read(8))[0]).decode("utf-8", "replace") for _ in range(count)]
        size = struct.calcsize(SCALARS[kind])
        return [item[0] for item in struct.iter_unpack(SCALARS[kind], file.read(count * size))]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read ({error})") from None
    return found if isinstance(found, dict) else {}


def _text_of(token: Any) -> str | None:
    """A special token is given as a text or as an object with its content."""
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def _refused(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)


@dataclass(frozen=True)
class PrefixTree:
    """A batch of examples as a tree of tokens, without padding and without repeats.

    A causal model's state at a token depends on the tokens before it alone. So examples with a common prefix (the
    system prompt, the template, a question asked twice) share those tokens: each node is a distinct prefix, and every
    matrix is applied to each node once. Only attention sees the examples as rows of equal length.

    N nodes, B examples, R loss-bearing tokens, the longest example of L tokens (its last left out).
    """

    tokens: list[int]
    """(N) token of each node."""
    depths: list[int]
    """(N) its place in its examples, from 0."""
    paths: list[list[int]]
    """(B) the nodes of each example in order."""
    rows: list[int]
    """(R) the node before each token that bears loss."""
    targets: list[int]
    """(R) that token."""
    seen: int
    """Tokens of the examples, as a loop over whole examples would count them."""

    @property
    def padded_nodes(self) -> int:
        """N rounded up, see `TreeLayout`."""
        return -(-len(self.tokens) // 64) * 64

    @property
    def padded_length(self) -> int:
        """L rounded up."""
        return -(-max(map(len, self.paths)) // 16) * 16


def build_prefix_tree(examples: Sequence[Encoded]) -> PrefixTree:
    """Merge the common prefixes of the examples into one tree."""
    nodes: dict[tuple[int, int], int] = {}
    tree = PrefixTree([], [], [], [], [], sum(len(example.ids) for example in examples))
    for example in examples:
        path: list[int] = []
        parent = -1
        for depth, token in enumerate(example.ids[:-1]):
            node = nodes.setdefault((parent, token), len(tree.tokens))
            if node == len(tree.tokens):
                tree.tokens.append(token)
                tree.depths.append(depth)
            path.append(node)
            parent = node
        tree.paths.append(path)
        tree.rows.extend(path[example.start - 1 :])
        tree.targets.extend(example.ids[example.start :])
    return tree


def plan_batches(lengths: Sequence[int], most: int, seed: int, epoch: int) -> list[list[int]]:
    """Indices of the examples of each batch: similar lengths together, at most `most` tokens, in a seeded order.

    A batch holds at least one example. Its composition changes with the epoch: similar lengths are shuffled first.
    """
    dice = random.Random(f"{seed}:{epoch}")  # noqa: S311  an order, not a secret
    order = list(range(len(lengths)))
    dice.shuffle(order)
    order.sort(key=lambda at: lengths[at] // 8)
    batches = pack(order, lengths, most)
    dice.shuffle(batches)
    return batches


def pack(order: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Cut a sequence of example indices into runs of at most `most` tokens, each of at least one example.

    >>> pack([2, 0, 1], lengths=[5, 4, 3], most=8)
    [[2, 0], [1]]
    """
    packs: list[list[int]] = []
    room = 0
    for at in order:
        if not packs or lengths[at] > room:
            packs.append([])
            room = most
        packs[-1].append(at)
        room -= lengths[at]
    return packs
