"""A small interpreter for small Python functions that a model wrote: they are read, never executed by Python itself.

A walk over the syntax tree with a budget of steps and of sizes. Numbers, texts, lists, tuples, sets, dicts, loops,
functions that call themselves, comprehensions; no imports, no attributes but methods named here, no classes, no input
or output (`print` collects lines). Whatever else stands in the code raises `NotSafe`, and counts as not right.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

MOST_STEPS: Final = 20_000
MOST_TEXT: Final = 10_000
MOST_ELEMENTS: Final = 1_000
_A_STEP: Final = 50
"""Elements (or hundreds of characters) that are looked at for one step."""
MOST_INTEGER: Final = 1 << 256
DEEPEST: Final = 40


class NotSafe(Exception):
    """The code does not parse, does what is not offered here, takes too long, or fails."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def call_function(code: str, name: str, arguments: Sequence[Any]) -> Any:
    """The result of `name(*arguments)` as the code defines it. Raises NotSafe."""
    run = _Run()
    run.module(code)
    function = run.names.get(name)
    if not isinstance(function, _Function):
        raise NotSafe(f"no function {name}")
    return run.guarded(lambda: function(*arguments))


def printed_by(code: str) -> str:
    """What the code prints, lines joined. Raises NotSafe."""
    run = _Run()
    run.module(code)
    return "\n".join(run.lines)


_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b, ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}  # fmt: skip
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    each.__name__: each
    for each in (
        abs, all, any, bool, dict, enumerate, float, int, len, list, max, min, range, reversed, round, set, sorted, str,
        sum, tuple, zip, ord, chr, divmod,
    )
}  # fmt: skip
_METHODS: Final[Mapping[type, str]] = {
    str: " lower upper title capitalize strip lstrip rstrip split join replace startswith endswith count find index "
    "isdigit isalpha isalnum isupper islower isspace swapcase splitlines ",
    list: " append extend insert pop remove reverse sort count index copy clear ",
    dict: " get keys values items pop setdefault update copy ",
    set: " add remove discard union intersection difference issubset issuperset copy ",
    tuple: " count index ",
}
_PLAIN: Final = (int, float, str, bool, type(None))


class _Function:
    """A function of the code, with the names around it."""

    def __init__(self, run: _Run, node: ast.FunctionDef | ast.Lambda, around: dict[str, Any]) -> None:
        self.run, self.node, self.around = run, node, around

    def __call__(self, *given: Any, **named: Any) -> Any:
        arguments = self.node.args
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or len(given) > len(names):
            raise NotSafe("arguments")
        defaults = [self.run.value(each, self.around) for each in arguments.defaults]
        local = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
        local |= dict(zip(names, given, strict=False)) | named
        if set(names) != local.keys():
            raise NotSafe("arguments")
        scope = {**self.around, **local}
        self.run.depth += 1
        try:
            if self.run.depth > DEEPEST:
                raise NotSafe("too deep")
            if isinstance(self.node, ast.Lambda):
                return self.run.value(self.node.body, scope)
            self.run.block(self.node.body, scope)
        except _Return as done:
            return done.value
        finally:
            self.run.depth -= 1
        return None


class _Run:
    """One run of one piece of code."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []
        self.steps = 0
        self.depth = 0

    def module(self, code: str) -> None:
        """Read the code and do what stands at its top. Raises NotSafe."""
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise NotSafe("does not parse") from None
        self.guarded(lambda: self.block(tree.body, self.names))

    def guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except NotSafe:
            raise
        except (_Return, _Break, _Continue, ArithmeticError, LookupError, TypeError, ValueError, AttributeError,
                RecursionError, MemoryError, RuntimeError) as error:  # fmt: skip
            raise NotSafe(type(error).__name__) from None

    def block(self, body: Sequence[ast.stmt], scope: dict[str, Any]) -> None:
        for statement in body:
            self.do(statement, scope)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise NotSafe("too long")

    def do(self, node: ast.stmt, scope: dict[str, Any]) -> None:
        """One statement."""
        self.step()
        match node:
            case ast.FunctionDef(name=name, decorator_list=[]):
                scope[name] = function = _Function(self, node, scope)
                function.around = scope if scope is self.names else {**scope, name: function}
            case ast.Return(value=value):
                raise _Return(None if value is None else self.value(value, scope))
            case ast.Assign(targets=targets, value=value):
                made = self.value(value, scope)
                for target in targets:
                    self.assign(target, made, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.value(value, scope), scope)
            case ast.AugAssign(target=target, op=op, value=value):
                old = self.value(ast.copy_location(_as_load(target), target), scope)
                self.assign(target, self.binary(op, old, self.value(value, scope)), scope)
            case ast.Expr(value=value):
                self.value(value, scope)
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self.value(test, scope) else orelse, scope)
            case ast.For() | ast.While():
                self.loop(node, scope)
            case ast.Pass():
                pass
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case _:
                raise NotSafe(type(node).__name__)

    def loop(self, node: ast.For | ast.While, scope: dict[str, Any]) -> None:
        values = iter(self.items(self.value(node.iter, scope))) if isinstance(node, ast.For) else None
        while True:
            self.step()
            if isinstance(node, ast.While):
                if not self.value(node.test, scope):
                    break
            else:
                try:
                    self.assign(node.target, next(values), scope)  # type: ignore[arg-type]
                except StopIteration:
                    break
            try:
                self.block(node.body, scope)
            except _Continue:
                continue
            except _Break:
                return
        self.block(node.orelse, scope)

    def items(self, value: Any) -> Any:
        if not hasattr(value, "__iter__") or isinstance(value, _Function):
            raise NotSafe("not iterable")
        return value

    def assign(self, target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
        match target:
            case ast.Name(id=name):
                scope[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = list(self.items(value))
                if len(values) != len(parts) or any(isinstance(part, ast.Starred) for part in parts):
                    raise NotSafe("unpacking")
                for part, each in zip(parts, values, strict=True):
                    self.assign(part, each, scope)
            case ast.Subscript(value=inner, slice=index) if not isinstance(index, ast.Slice):
                holder = self.value(inner, scope)
                if not isinstance(holder, list | dict):
                    raise NotSafe("assignment")
                holder[self.value(index, scope)] = value
                self.sized(holder)
            case _:
                raise NotSafe("assignment")

    def value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        """The value of an expression."""
        self.step()
        match node:
            case ast.Constant(value=value) if isinstance(value, _PLAIN):
                return value
            case ast.Name(id=name):
                return self.named(name, scope)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, self.value(left, scope), self.value(right, scope))
            case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _UNARY:
                return _UNARY[type(unary)](self.value(operand, scope))
            case ast.BoolOp(op=kind, values=values):
                return self.either(isinstance(kind, ast.Or), values, scope)
            case ast.Compare(left=left, ops=ops, comparators=others):
                return self.compared(self.value(left, scope), ops, others, scope)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test, scope) else orelse, scope)
            case ast.Call():
                return self.call(node, scope)
            case ast.Subscript(value=inner, slice=index):
                return self.value(inner, scope)[self.index(index, scope)]
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                values = self.sized([self.value(part, scope) for part in parts])
                return (
                    tuple(values)
                    if isinstance(node, ast.Tuple)
                    else set(values)
                    if isinstance(node, ast.Set)
                    else values
                )
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return self.sized(
                    {self.value(key, scope): self.value(each, scope) for key, each in pairs if key is not None}
                )
            case ast.ListComp(elt=part) | ast.GeneratorExp(elt=part) | ast.SetComp(elt=part):
                found = self.sized([self.value(part, inner) for inner in self.rows(node.generators, dict(scope))])
                return set(found) if isinstance(node, ast.SetComp) else found
            case ast.DictComp(key=key, value=each):
                rows = self.rows(node.generators, dict(scope))
                return self.sized({self.value(key, inner): self.value(each, inner) for inner in rows})
            case ast.JoinedStr(values=values):
                return self.sized("".join(str(self.sized(self.value(each, scope))) for each in values))
            case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                return self.value(inner, scope)
            case ast.Lambda():
                return _Function(self, node, dict(scope))
            case _:
                raise NotSafe(type(node).__name__)

    def either(self, any_of: bool, nodes: Sequence[ast.expr], scope: dict[str, Any]) -> Any:
        value: Any = None
        for node in nodes:
            value = self.value(node, scope)
            if bool(value) is any_of:
                break
        return value

    def named(self, name: str, scope: dict[str, Any]) -> Any:
        for names in (scope, self.names, _FUNCTIONS):
            if name in names:
                return names[name]
        raise NotSafe(f"no name {name}")

    def index(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        if not isinstance(node, ast.Slice):
            return self.value(node, scope)
        return slice(
            *(None if part is None else self.value(part, scope) for part in (node.lower, node.upper, node.step))
        )

    def compared(self, left: Any, ops: Sequence[ast.cmpop], others: Sequence[ast.expr], scope: dict[str, Any]) -> bool:
        for op, other in zip(ops, others, strict=True):
            right = self.value(other, scope)
            if not _COMPARE[type(op)](self.sized(left), self.sized(right)):
                return False
            left = right
        return True

    def rows(self, generators: Sequence[ast.comprehension], scope: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The scopes that a comprehension goes through."""
        if not generators:
            yield scope
            return
        first, *rest = generators
        for value in self.items(self.value(first.iter, scope)):
            self.step()
            self.assign(first.target, value, scope)
            if all(self.value(test, scope) for test in first.ifs):
                yield from self.rows(rest, scope)

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(op, ast.Pow):
            if not (isinstance(left, int | float) and isinstance(right, int | float) and abs(right) <= 64):
                raise NotSafe("power")
            return self.sized(left**right)
        if isinstance(op, ast.Mod) and isinstance(left, str):
            raise NotSafe("format")
        if isinstance(op, ast.Mult) and any(isinstance(each, str | list | tuple) for each in (left, right)):
            size, times = (len(right), left) if isinstance(left, int) else (len(left), right)
            if not isinstance(times, int) or size * times > MOST_TEXT:
                raise NotSafe("too large")
        if type(op) not in _BINARY:
            raise NotSafe("operator")
        return self.sized(_BINARY[type(op)](left, right))

    def sized(self, value: Any) -> Any:
        """The value, where it is not beyond all measure; what it costs to go through it is counted.

        A list of lists is as deep as it goes: parts that are shared would make more of it than can be gone through.
        """
        if isinstance(value, int) and abs(value) > MOST_INTEGER:
            raise NotSafe("too large")
        self.steps += self.weight(value, 2) // _A_STEP
        return value

    def weight(self, value: Any, deeper: int) -> int:
        if isinstance(value, str):
            if len(value) > MOST_TEXT:
                raise NotSafe("too large")
            return 1 + len(value) // 100
        if not isinstance(value, list | tuple | set | dict):
            return 1
        if not deeper or len(value) > MOST_ELEMENTS:
            raise NotSafe("too large")
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return 1 + sum(self.weight(part, deeper - 1) for part in parts)

    def call(self, node: ast.Call, scope: dict[str, Any]) -> Any:
        if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
            raise NotSafe("arguments")
        given = [self.value(each, scope) for each in node.args]
        named = {each.arg: self.value(each.value, scope) for each in node.keywords if each.arg}
        for each in (*given, *named.values()):
            self.sized(each)
        if isinstance(node.func, ast.Attribute):
            return self.method(self.value(node.func.value, scope), node.func.attr, given, named)
        if isinstance(node.func, ast.Name) and node.func.id == "print" and "print" not in scope:
            self.lines.append(self.sized(" ".join(map(str, given))))
            return None
        function = self.value(node.func, scope)
        if isinstance(function, _Function):
            return function(*given, **named)
        if not any(function is each for each in _FUNCTIONS.values()) or (function is sum and len(given) > 1):
            raise NotSafe("call")
        if function is range:
            made = range(*given)
            if len(made) > MOST_STEPS:
                raise NotSafe("too long")
            return made
        if function in (int, str) and any(isinstance(each, str) and len(each) > 100 for each in given):
            raise NotSafe("too long")
        return self.plain(function(*given, **named))

    def method(self, holder: Any, name: str, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        if f" {name} " not in _METHODS.get(type(holder), ""):
            raise NotSafe(f"method {name}")
        if name == "replace" and len(holder) * max(len(str(given[1])), 1) > 10 * MOST_TEXT:
            raise NotSafe("too large")
        self.sized(holder)
        made = self.plain(getattr(holder, name)(*given, **named))
        self.sized(holder)
        return made

    def plain(self, value: Any) -> Any:
        """Iterators as lists, so that their length is known."""
        if isinstance(value, enumerate | zip | reversed) or type(value).__name__ in (
            "dict_keys", "dict_values", "dict_items", "list_reverseiterator", "range_iterator",
        ):  # fmt: skip
            value = list(value)
        return self.sized(value)


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Subscript):
        return ast.Subscript(target.value, target.slice, ast.Load())
    raise NotSafe("assignment")
