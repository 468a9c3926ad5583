"""Questions about code: functions and patterns to write, and small programs whose output is asked for.

Functions are judged by what they give, patterns by what they fit; the output of a program that is asked about comes
from `capability.interpreter`, which judges the functions too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from netgpt.capability.grading import Function, Literal, Number, Pattern, Phrase
from netgpt.capability.interpreter import printed_by
from netgpt.capability.questions import Draft, family, rows, words

_CODE: Final = 160
Reference = Callable[..., Any]


def _numbers(random: Random) -> list[int]:
    return [random.randrange(-9, 30) for _ in range(random.randrange(3, 7))]


def _list_tasks(k: int) -> Sequence[tuple[str, Reference]]:
    return (
        (
            f"takes a list of numbers and returns the sum of those greater than {k}",
            lambda x: sum(v for v in x if v > k),
        ),
        (f"takes a list of numbers and returns a new list with {k} added to each", lambda x: [v + k for v in x]),
        (f"takes a list of numbers and returns a new list with each multiplied by {k}", lambda x: [v * k for v in x]),
        (f"takes a list of numbers and returns how many of them are less than {k}", lambda x: sum(v < k for v in x)),
        (
            f"takes a list of numbers and returns only those that are divisible by {k}",
            lambda x: [v for v in x if v % k == 0],
        ),
        ("takes a list of numbers and returns the largest one", max),
        ("takes a list of numbers and returns the smallest one", min),
        ("takes a list of numbers and returns them sorted from large to small", lambda x: sorted(x, reverse=True)),
        ("takes a list of numbers and returns the even ones", lambda x: [v for v in x if v % 2 == 0]),
        (
            "takes a list of numbers and returns the difference of the largest and the smallest",
            lambda x: max(x) - min(x),
        ),
        ("takes a list and returns it in reverse order", lambda x: x[::-1]),
        ("takes a list and returns its first and its last element as a list", lambda x: [x[0], x[-1]]),
    )


def _text_tasks(k: int) -> Sequence[tuple[str, Reference]]:
    letter = "aeilnrst"[k % 8]
    return (
        ("takes a string and returns it reversed", lambda s: s[::-1]),
        ("takes a string and returns it in upper case", str.upper),
        (
            "takes a string and returns the number of vowels (a, e, i, o, u) in it",
            lambda s: sum(c in "aeiou" for c in s),
        ),
        (f"takes a string and returns how often the letter '{letter}' occurs in it", lambda s: s.count(letter)),
        ("takes a string and returns True if it reads the same backwards, else False", lambda s: s == s[::-1]),
        (f"takes a string and returns it repeated {k} times", lambda s: s * k),
        (f"takes a string and returns its first {k} characters", lambda s: s[:k]),
        (f"takes a string and returns it without the letter '{letter}'", lambda s: s.replace(letter, "")),
        (f"takes a string and returns True if it has more than {k} characters, else False", lambda s: len(s) > k),
    )


def _number_tasks(k: int) -> Sequence[tuple[str, Reference]]:
    return (
        (f"takes a number n and returns n multiplied by {k}", lambda n: n * k),
        (f"takes an integer n and returns the remainder of n divided by {k}", lambda n: n % k),
        ("takes an integer n and returns True if it is even, else False", lambda n: n % 2 == 0),
        ("takes an integer n and returns the sum of the numbers from 1 to n", lambda n: n * (n + 1) // 2),
        (f"takes an integer n and returns the sum of all multiples of {k} up to n", lambda n: sum(range(k, n + 1, k))),
        (f"takes an integer n and returns n to the power of {k % 4 + 2}", lambda n: n ** (k % 4 + 2)),
        ("takes an integer n and returns a list of the numbers from 1 to n", lambda n: list(range(1, n + 1))),
        ("takes an integer n and returns the sum of its digits", lambda n: sum(map(int, str(n)))),
        (f"takes a number n and returns n if it is greater than {k}, else {k}", lambda n: max(n, k)),
    )  # fmt: skip


def _function(random: Random, tasks: Sequence[tuple[str, Reference]], given: Sequence[Any]) -> Draft:
    what, reference = random.choice(tasks)
    name = random.choice(words("function-names"))
    cases = tuple(((each,), reference(each)) for each in given)
    return Draft(Function(name, cases), {"name": name, "what": what}, _CODE)


@family("code/lists")
def lists(random: Random, language: str) -> Draft:
    return _function(random, _list_tasks(random.randrange(2, 10)), [_numbers(random) for _ in range(4)])


@family("code/texts")
def texts(random: Random, language: str) -> Draft:
    return _function(random, _text_tasks(random.randrange(2, 8)), random.sample(words("code-words"), 5))


@family("code/numbers")
def numbers(random: Random, language: str) -> Draft:
    return _function(random, _number_tasks(random.randrange(2, 10)), random.sample(range(1, 60), 5))


@family("code/patterns")
def patterns(random: Random, language: str) -> Draft:
    what, yes, no = random.choice(rows("patterns"))
    k, letter = random.randrange(2, 8), random.choice("ABKMRT")
    word = "".join(random.choice("bcdfglmnprs") for _ in range(k))
    digits = "".join(random.choice("123456789") for _ in range(k))
    values = {"k": k, "c": letter, "d": digits, "e": digits[1:], "w": word, "v": word[1:]}
    check = Pattern(tuple(yes.format(**values).split()), tuple(no.format(**values).split()))
    return Draft(check, {"what": what.format(**values)}, 60)


@family("code/commands")
def commands(random: Random, language: str) -> Draft:
    stem = random.choice(("notes", "report", "data", "photos", "log", "todo", "plan", "draft"))
    name = stem + random.choice((".txt", ".csv", ".md"))
    count = random.randrange(3, 30)
    what, right = random.choice(
        (
            (f"counts the lines of the file {name}", (f"wc -l {name}", f"wc -l < {name}", f"cat {name} | wc -l")),
            (f"shows the first {count} lines of {name}", (f"head -n {count} {name}", f"head -{count} {name}")),
            (f"shows the last {count} lines of {name}", (f"tail -n {count} {name}", f"tail -{count} {name}")),
            (f"makes a folder called {stem}", (f"mkdir {stem}", f"mkdir -p {stem}")),
            (f"deletes the file {name}", (f"rm {name}", f"rm -f {name}")),
            (f"copies {name} to backup_{name}", (f"cp {name} backup_{name}",)),
            (f"renames {name} to old_{name}", (f"mv {name} old_{name}",)),
        )
    )
    return Draft(Literal(right), {"what": what}, 60)


def _programs(random: Random) -> str:
    a, b, c = random.randrange(2, 12), random.randrange(2, 9), random.randrange(2, 6)
    word = random.choice(words("code-words"))
    items = random.sample(range(1, 20), 4)
    return random.choice(
        (
            f"x = {a}\ny = {b}\nx = x + y\nprint(x * {c})",
            f"total = 0\nfor i in range({b}):\n    total += i\nprint(total)",
            f"numbers = {items}\nprint(len(numbers) + numbers[{c % 4}])",
            f"numbers = {items}\nprint(max(numbers) - min(numbers))",
            f'word = "{word}"\nprint(word[{c % 3}])',
            f'word = "{word}"\nprint(word[::-1])',
            f'word = "{word}"\nprint(len(word) * {c})',
            f"def f(n):\n    if n > {a}:\n        return n - {b}\n    return n + {b}\n\nprint(f({items[0]}))",
            f"x = {a * 10 + c}\nwhile x > {b}:\n    x = x - {b}\nprint(x)",
            f"print({a * b} // {c} + {a * b} % {c})",
            f"d = {{'a': {a}, 'b': {b}}}\nd['a'] = d['b'] + {c}\nprint(d['a'])",
            f"print([n * {c} for n in range({b}) if n % 2 == 1])",
            f"a, b = {a}, {b}\na, b = b, a\nprint(a - b)",
            f"count = 0\nfor n in {items}:\n    if n > {a}:\n        count += 1\nprint(count)",
        )
    )


@family("code-reading/output")
def output(random: Random, language: str) -> Draft:
    program = _programs(random)
    printed = printed_by(program)
    whole = printed.lstrip("-").isdigit()
    return Draft(Number(float(printed)) if whole else Literal((printed,)), {"code": program}, 100)


@family("code-reading/faults")
def faults(random: Random, language: str) -> Draft:
    code, right, wrong = random.choice(rows("faults"))
    shown = code.format(k=random.randrange(4, 60), n=random.choice(("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn")))
    return Draft(Phrase(tuple(right.split("/")), tuple(wrong.split(";"))), {"code": shown}, 90)


@family("code-reading/times")
def times(random: Random, language: str) -> Draft:
    a, b, step = random.randrange(0, 6), random.randrange(8, 30), random.randrange(1, 4)
    nested = random.random() < 0.4
    code = f"for i in range({a}, {b}, {step}):\n    print('x')"
    if nested:
        code = f"for i in range({b % 7 + 2}):\n    for j in range({a + 2}):\n        print('x')"
    return Draft(Number(float(printed_by(code).count("x"))), {"code": code}, 100)
