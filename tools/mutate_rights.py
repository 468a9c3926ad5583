"""Takes checks out of a copy of the source, one at a time: the tests of rights must see each.

    python tools/mutate_rights.py    # half a minute each; exit status 1 where one was not seen

The suite makes mistakes in the table of rights itself (`tests/web/test_rights_matrix.py`); these are checks in code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TESTS: Final = ("tests/web/test_rights_matrix.py", "tests/web/test_nobody.py")
MUTATIONS: Final = (
    ("web/rights.py", "and person in await gateway.store.staff()", "and False"),
    ("web/rights.py", "row.tenant != caller.tenant or ", ""),
    ("web/rights.py", " or (person is not None and person.user != row.user)", ""),
    ("web/rights.py", "return caller.role is not Role.OPERATOR", "return True"),
    ("web/rights.py", "    request.app.state.access.allow(caller, right_of(request).action, user)\n", ""),
    (
        "web/rights.py",
        "    check_access(gateway.policy, caller, action, profile_of(person)",
        "    (lambda *_, **__: 0)(person",
    ),
    ("web/rights.py", "        if right.of is Of.BOX:\n", "        if False:\n"),
    ("web/rights.py", "return caller.bound_user is None and (owns", "return (owns"),
    ("web/rights.py", "owns = caller.key_id is None and caller.role is Role.ADMIN", "owns = caller.key_id is None"),
    ("web/profiles.py", "if person in await gateway.store.staff():", "if False:"),
    ("web/exchanges.py", 'row = await reach(request, found, user, "waiting_id")\n    await', "row = found\n    await"),
    ("web/exchanges.py", 'row = await reach(request, found, feedback.user, "exchange")', "row = found"),
    ("web/exchanges.py", "(person, caller.tenant, limit)", "(person, None, limit)"),
    ("web/auth.py", "if row.scopes is not None and scope_of(path) not in row.scopes:", "if False:"),
    ("types.py", "if user in (None, self.bound_user) else None", ""),
    ("types.py", "self.key_id or ANONYMOUS", "ANONYMOUS"),
    ("types.py", "return None if another_keys else", "return"),
    ("store/keys.py", "row.role is not Role.USER and row.revoked is None", "False"),
    (
        "policy/sets/access.cedar",
        'principal in Tenant::"local", action == Action::"run_box"',
        'principal, action == Action::"run_box"',
    ),
)
"""(file, what stands there, what stands there instead)"""


def survives(file: str, before: str, after: str) -> bool:
    """Whether the tests pass although this was changed. Raises ValueError: it does not stand there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / "netgpt" / file
        text = path.read_text(encoding="utf-8")
        if before not in text:
            raise ValueError(f"{file} no longer holds {before!r}")
        path.write_text(text.replace(before, after), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *TESTS]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL).returncode == 0


def main() -> int:
    """Try each; say which nobody saw."""
    unseen = 0
    for mutation in MUTATIONS:
        survived = survives(*mutation)
        unseen += survived
        print("NOT SEEN" if survived else "seen    ", mutation[0], repr(mutation[1]), flush=True)
    return min(unseen, 1)


if __name__ == "__main__":
    sys.exit(main())
