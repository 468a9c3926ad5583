"""Build the documentation site: copy the pages to build/docs, run zensical on them, look at what came out.

Fails on a broken link or anchor, a page that is missing or not in the menu, a picture that is missing, and anything
fetched from another host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES, SITE = ROOT / "build" / "docs", ROOT / "build" / "site"
ROOT_PAGES = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
"""Written for the root of the repository, where people look for them, and shown on the site too."""
LOADED = re.compile(r'<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)="?([^\s">#?]+)')
"""What a browser loads by itself with a page."""


def main() -> int:
    """Exit code 1 when the site is not as it should be; what is wrong goes to stderr."""
    copy_pages()
    wrong = list(menu_faults())
    built = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if built.returncode:
        wrong.append((built.stdout + built.stderr).partition("Traceback")[0].strip())
    wrong += loading_faults()
    sys.stderr.writelines(f"{fault}\n" for fault in wrong)
    return 1 if wrong else 0


def copy_pages() -> None:
    """docs/ and the pages of the root side by side; links between them follow."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    up = re.compile(rf"\]\(\.\./((?:\.\./)*(?:{'|'.join(map(re.escape, ROOT_PAGES))}))")
    for page in PAGES.rglob("*.md"):
        page.write_text(up.sub(r"](\1", page.read_text(encoding="utf-8")), encoding="utf-8")
    for name in ROOT_PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        (PAGES / name).write_text(text.replace("](docs/", "]("), encoding="utf-8")


def menu_faults() -> Iterator[str]:
    """Pages that are in the menu or in the folder, but not in both."""
    menu = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    listed, there = set(_leaves(menu)), {str(page.relative_to(PAGES)) for page in PAGES.rglob("*.md")}
    yield from (f"zensical.toml: {name} is in the menu and does not exist" for name in sorted(listed - there))
    yield from (f"zensical.toml: {name} is not in the menu" for name in sorted(there - listed))


def _leaves(menu: Any) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    else:
        for part in menu.values() if isinstance(menu, dict) else menu:
            yield from _leaves(part)


def loading_faults() -> Iterator[str]:
    """What a page would load from elsewhere (only the reader should know what is read), or what does not exist."""
    for page in sorted(SITE.rglob("*.html")):
        if page.name == "404.html":  # its paths are absolute, as it stands for any address
            continue
        text = page.read_text(encoding="utf-8")
        if 'class="mermaid"' in text:
            yield f"{page.relative_to(SITE)}: a mermaid picture is drawn by a script from elsewhere; use an SVG"
        for found in LOADED.findall(text):
            if re.match(r"(https?:)?//", found):
                yield f"{page.relative_to(SITE)} fetches from elsewhere: {found}"
            elif not found.startswith("data:") and not (page.parent / found).exists():
                yield f"{page.relative_to(SITE)} shows {found}, which does not exist"


if __name__ == "__main__":
    sys.exit(main())
