"""Code that a model wrote is walked, never executed: what it may do, and what it may not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from netgpt.capability.interpreter import NotSafe, call_function, printed_by

GOOD: dict[str, tuple[str, list[Any], Any]] = {
    "loops": ("def f(n):\n    t = 0\n    for i in range(1, n + 1):\n        t += i\n    return t", [10], 55),
    "calls itself": ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)", [6], 720),
    "comprehension": ("def f(x):\n    return [v * 2 for v in x if v % 2 == 0]", [[1, 2, 4]], [4, 8]),
    "generator in sum": ("def f(s):\n    return sum(1 for c in s.lower() if c in 'aeiou')", ["Radio"], 3),
    "slices": ("def f(s):\n    return s == s[::-1]", ["noon"], True),
    "while, break": ("def f(n):\n    while True:\n        n -= 3\n        if n < 3: break\n    return n", [10], 1),
    "dict": ("def f(s):\n    d = {}\n    for c in s: d[c] = d.get(c, 0) + 1\n    return d['a']", ["banana"], 3),
    "sorted by key": ("def f(x):\n    return sorted(x, key=lambda v: -v)", [[1, 3, 2]], [3, 2, 1]),
    "f-string": ("def f(n):\n    return f'{n} items'", [3], "3 items"),
    "default": ("def f(n, k=2):\n    return n * k", [4], 8),
    "helper": ("def g(n):\n    return n + 1\n\ndef f(n):\n    return g(g(n))", [1], 3),
    "unpacking": ("def f(x):\n    a, b = x\n    a, b = b, a\n    return a - b", [[1, 5]], 4),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_small_functions_give_what_python_gives(name: str) -> None:
    code, given, wanted = GOOD[name]
    assert call_function(code, "f", given) == wanted


BAD = {
    "import": "import os\ndef f(x):\n    return 1",
    "import inside": "def f(x):\n    __import__('os').system('true')\n    return 1",
    "attribute": "def f(x):\n    return x.__class__.__mro__",
    "method that is none": "def f(x):\n    return ''.format(x)",
    "old format": "def f(x):\n    return '%999999999d' % 1",
    "open": "def f(x):\n    return open('/etc/passwd').read()",
    "eval": "def f(x):\n    return eval('1')",
    "exec": "exec('1')\ndef f(x):\n    return 1",
    "class": "class A:\n    pass\ndef f(x):\n    return A()",
    "decorator": "@print\ndef f(x):\n    return 1",
    "endless": "def f(x):\n    while True:\n        pass",
    "endless recursion": "def f(x):\n    return f(x)",
    "endless growth": "def f(x):\n    y = [1]\n    for i in y:\n        y.append(i)",
    "large power": "def f(x):\n    return 9 ** 9 ** 9",
    "large power by steps": "def f(x):\n    y = 9\n    for i in range(9):\n        y = y ** 64\n    return y",
    "large text": "def f(x):\n    return 'a' * 10 ** 9",
    "large list": "def f(x):\n    return [0] * 10 ** 9",
    "large range": "def f(x):\n    return list(range(10 ** 12))",
    "doubling": "def f(x):\n    y = 'ab'\n    for i in range(100):\n        y += y\n    return y",
    "shared tower": "def f(x):\n    y = [1, 1]\n    for i in range(60):\n        y = [y, y]\n    return str(y)",
    "list in itself": "def f(x):\n    y = []\n    y.append(y)\n    return str(y)",
    "replace": "def f(x):\n    return ('a' * 9000).replace('a', 'b' * 9000)",
    "join": "def f(x):\n    return ('a' * 9000).join(['b'] * 900)",
    "sum of lists": "def f(x):\n    return sum([[1]] * 900, [])",
    "deep brackets": "def f(x):\n    return " + "(" * 1900 + "1" + ")" * 1900,
    "deep signs": "def f(x):\n    return " + "-" * 3900 + "1",
    "no function": "x = 1",
    "no code": "I would write a function.",
    "null": "def f(x):\n    return '\0'",
    "unknown name": "def f(x):\n    return y",
    "wrong arguments": "def f():\n    return 1",
    "star arguments": "def f(*x):\n    return 1",
    "error": "def f(x):\n    return 1 / 0",
    "try": "def f(x):\n    try:\n        return 1\n    except ValueError:\n        return 2",
    "global": "def f(x):\n    global y\n    y = 1\n    return y",
    "yield": "def f(x):\n    yield 1",
    "await": "async def f(x):\n    return 1",
    "walrus": "def f(x):\n    return (y := 1)",
    "setattr": "def f(x):\n    setattr(x, 'a', 1)",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_safe_is_refused_and_soon(name: str) -> None:
    began = time.process_time()
    with pytest.raises(NotSafe):
        call_function(BAD[name], "f", [3])
    assert time.process_time() - began < 5


def test_what_is_printed() -> None:
    assert printed_by("x = 3\nprint(x + 1)\nprint('a', [1, 2])") == "4\na [1, 2]"
