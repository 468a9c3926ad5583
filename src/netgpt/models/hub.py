"""A hub that speaks Hugging Face's protocol: which commit and file is meant, its size and hash, and the file itself.

https://huggingface.co/docs/hub/api: `/api/models/REPO/revision/REV` names the commit, the licence and what is known of
GGUF files; `/api/models/REPO/tree/COMMIT` the files, with the SHA-256 and size of large ones (`lfs`);
`/REPO/resolve/COMMIT/FILE` leads to the file, and says `X-Linked-Etag` (SHA-256) and `X-Linked-Size` of it. A refusal
has a reason in `X-Error-Code`. The token is sent to the hub's own origin only: httpx drops it where a redirect leads
elsewhere.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

import orjson

from netgpt.errors import ModelUnavailable, NotFound, PermissionDenied, RequestError
from netgpt.models.download import Progress, download, open_client, shown
from netgpt.models.gguf import engine_knows, unknown_to_engine

if TYPE_CHECKING:
    import httpx

HUB: Final = "https://huggingface.co"
MOST_JSON: Final = 16_000_000
"""Bytes of what the hub says of a repository."""
MOST_WEIGHTS: Final = 200_000_000_000
"""Bytes of a file; no engine of a box runs a larger one."""
MOST_NAME: Final = 500
PAGES: Final = 20
FORMATS: Final = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "Q5_K_M", "Q5_K_S", "Q6_K", "Q8_0", "F16", "BF16")
"""Which file of a repository is taken where none is named: the first of these."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"[\w][\w.-]{0,95}")
_WANTED: Final = re.compile(r"(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>.+))?")


@dataclass(frozen=True)
class HubPlace:
    """What to ask a hub for. `file` None: a GGUF file that fits; `sha256` and `bytes` where they are known."""

    repo: str
    revision: str = "main"
    file: str | None = None
    sha256: str = ""
    bytes: int | None = None
    asked: str = ""

    @classmethod
    def parse(cls, text: str) -> HubPlace:
        """`owner/repo[@revision][/path/file.gguf]`. Raises RequestError."""
        match = _WANTED.fullmatch(text)
        parts = [*match["repo"].split("/"), *(match["file"] or "x").split("/")] if match else []
        if match is None or not all(_PART.fullmatch(part) for part in parts):
            raise RequestError(f'"hf:{text}": write hf:owner/repo/file.gguf, or hf:owner/repo@revision/file.gguf')
        return cls(match["repo"], match["revision"] or "main", match["file"])

    @property
    def place(self) -> str:
        """Under which a hash is pinned: what was asked for, whatever was found there."""
        return self.asked or f"{self.repo}@{self.revision}/{self.file or ''}"

    def with_pin(self, file: str, revision: str, sha256: str, size: int) -> HubPlace:
        """The same, as it was found the first time."""
        return replace(self, file=file, revision=revision, sha256=sha256, bytes=size, asked=self.place)

    def unpinned(self) -> HubPlace:
        """The same, as it is now."""
        main = "main" if _COMMIT.fullmatch(self.revision) and self.sha256 else self.revision
        return HubPlace(self.repo, main, self.file, asked=self.place)


@dataclass(frozen=True)
class HubFile:
    """One file of a commit, as the hub names it. `bytes` and `sha256` are what must come."""

    repo: str
    commit: str
    path: str
    bytes: int
    sha256: str
    license: str


class Hub:
    """One hub, with the owner's token. Blocks; for commands."""

    def __init__(self, address: str = HUB, token: str | None = None, *, pause_s: float = 0.5) -> None:
        self._address, self._token, self._pause_s = address.rstrip("/"), token, pause_s

    def __repr__(self) -> str:
        return f"<Hub {shown(self._address)}>"

    def shown(self, file: HubFile) -> str:
        """Where a file comes from, for people."""
        return shown(self._url(file.repo, file.commit, file.path))

    def find(self, wanted: HubPlace) -> HubFile:
        """The commit, file, size and hash of what is wanted; asked of the hub as far as it is not pinned.

        Raises NotFound with a near miss, PermissionDenied (gated, or a token that does not count) with what to do,
        RequestError (no GGUF, an architecture that the engine does not know, no hash, too large), ModelUnavailable.
        """
        with open_client(self._address, None) as client:
            commit, path, license, known = wanted.revision, wanted.file, "", (wanted.sha256, wanted.bytes)
            if not (wanted.sha256 and path and _COMMIT.fullmatch(commit)):
                about, _ = self._json(client, f"{self._api(wanted)}/revision/{quote(commit, safe='')}", wanted)
                commit, license = self._commit(about, wanted), _license(about)
                files = self._files(client, wanted, commit)
                path = choose(files, wanted)
                known = files[path]
            assert path is not None
            linked = self._linked(client, wanted, commit, path)
        sha256, size = (here or there for here, there in zip(known, linked, strict=True))
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or not isinstance(size, int):
            raise RequestError(f"{wanted.repo}/{path}: the hub names no SHA-256 of it; refused")
        if linked[0] and linked[0] != sha256:
            raise RequestError(
                f"{wanted.repo}/{path}: the hub has another file ({linked[0][:12]}...) than was pinned or is listed "
                f"({sha256[:12]}...); refused. If its owner replaced it: `netgpt models pull --again`."
            )
        if not 0 < size <= MOST_WEIGHTS or (linked[1] and linked[1] != size):
            raise RequestError(f"{wanted.repo}/{path}: has another size than it should ({linked[1] or size}); refused")
        return HubFile(wanted.repo, commit, path, size, sha256, license)

    def fetch(self, file: HubFile, target: Path, progress: Progress | None) -> Path:
        """Fetch a file, going on after a cut; checked by size and hash. Raises as `download` does."""
        url = self._url(file.repo, file.commit, file.path)
        return download(
            url, target, sha256=file.sha256, size=file.bytes, headers=self._headers(), progress=progress,
            pause_s=self._pause_s,
        )  # fmt: skip

    def _url(self, repo: str, commit: str, path: str) -> str:
        return f"{self._address}/{repo}/resolve/{commit}/{quote(path)}"

    def _api(self, wanted: HubPlace) -> str:
        return f"{self._address}/api/models/{wanted.repo}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _commit(self, about: Any, wanted: HubPlace) -> str:
        """The commit, of a repository that holds what the engine knows."""
        commit = about.get("sha") if isinstance(about, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise ModelUnavailable(f"{self._address}: does not speak Hugging Face's protocol: it names no commit")
        gguf = about.get("gguf")
        kind = gguf.get("architecture") if isinstance(gguf, dict) else None
        if isinstance(kind, str) and re.fullmatch(r"[\w.-]{1,64}", kind) and not engine_knows(kind):
            raise RequestError(f"{wanted.repo}: {unknown_to_engine(kind)}")
        return commit

    def _files(self, client: httpx.Client, wanted: HubPlace, commit: str) -> dict[str, tuple[str, int | None]]:
        """SHA-256 (empty: none is named) and size of every file of a commit."""
        found: dict[str, tuple[str, int | None]] = {}
        url: str | None = f"{self._api(wanted)}/tree/{commit}?recursive=true"
        for _ in range(PAGES):
            if url is None:
                break
            rows, url = self._json(client, url, wanted)
            for row in rows if isinstance(rows, list) else ():
                path = row.get("path") if isinstance(row, dict) and row.get("type") == "file" else None
                if not isinstance(path, str) or not path.isprintable() or len(path) > MOST_NAME:
                    continue
                large = row["lfs"] if isinstance(row.get("lfs"), dict) else {}
                size = large.get("size", row.get("size"))
                found[path] = (str(large.get("oid") or ""), size if type(size) is int else None)
        return found

    def _json(self, client: httpx.Client, url: str, wanted: HubPlace) -> tuple[Any, str | None]:
        """What the hub says, and the address of the next page."""
        import httpx

        body = bytearray()
        if urlsplit(url)[:2] != urlsplit(self._address)[:2]:
            raise RequestError(f"{shown(self._address)}: leads to another server for its list; refused")
        try:
            with client.stream("GET", url, headers=self._headers()) as answer:
                self._check(answer, wanted)
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_JSON:
                        raise ModelUnavailable(f"{shown(url)}: says more than {MOST_JSON:,} bytes; refused")
                after = answer.links.get("next", {}).get("url")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        try:
            return orjson.loads(body), urljoin(url, after) if after else None
        except ValueError:
            raise ModelUnavailable(
                f"{shown(url)}: answers with something else than JSON (a page of a proxy or a login?). "
                "Check models.hub and the network."
            ) from None

    def _linked(self, client: httpx.Client, wanted: HubPlace, commit: str, path: str) -> tuple[str, int | None]:
        """SHA-256 and size that the address of the file itself names; asked before anything is fetched."""
        import httpx

        url = self._url(wanted.repo, commit, path)
        try:
            for _ in range(3):
                answer = client.request("HEAD", url, headers=self._headers(), follow_redirects=False)
                if answer.status_code in (405, 501):  # a mirror that only lists and sends
                    return "", None
                self._check(answer, wanted, path)
                where = answer.headers.get("location", "")
                if not answer.is_redirect or "x-linked-etag" in answer.headers or urlsplit(where).netloc:
                    break
                url = urljoin(url, where)  # the repository was renamed
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        etag = answer.headers.get("x-linked-etag", "").removeprefix("W/").strip('"').lower()
        size = answer.headers.get("x-linked-size", "")
        return etag if _SHA256.fullmatch(etag) else "", int(size) if size.isdecimal() and len(size) < 16 else None

    def _unreachable(self, error: Exception) -> ModelUnavailable:
        return ModelUnavailable(
            f"{shown(self._address)} cannot be reached ({type(error).__name__}). Check the network and the proxy; "
            "another hub is named by models.hub (or HF_ENDPOINT), a file by --from."
        )

    def _check(self, answer: httpx.Response, wanted: HubPlace, path: str | None = None) -> None:
        """Raises what a refusal stands for, with what to do about it."""
        status, why = answer.status_code, answer.headers.get("x-error-code", "")
        if status < 400:
            return
        page, name = f"{shown(self._address)}/{wanted.repo}", f"{wanted.repo}{f'/{path}' if path else ''}"
        if status in (401, 403) and why != "RepoNotFound" and (why == "GatedRepo" or self._token is None):
            raise PermissionDenied(
                f"{name}: is gated ({status}): its owner wants to know who takes it. Open {page} with a login and "
                f"accept the terms, make a token for reading in the settings there, and set "
                f"{'another one: this one does not count: ' if self._token else ''}NETGPT_MODELS__TOKEN (or HF_TOKEN)."
            )
        if status in (401, 403) and why != "RepoNotFound":
            raise PermissionDenied(f"{name}: the hub does not take the token ({status}); set models.token anew.")
        if status == 404 and why in ("EntryNotFound", "RevisionNotFound"):
            what = "such file" if why == "EntryNotFound" else f'revision "{wanted.revision}"'
            raise NotFound(f"{name}: there is no {what}; {page}/tree/main has what there is.")
        if status in (401, 404):
            raise NotFound(f"{name}: no such repository on {shown(self._address)}, or a private one (models.token).")
        again = "it has too much to do: try later" if status == 429 or status >= 500 else "it refuses"
        raise ModelUnavailable(f"{shown(self._address)}: answers {status}: {again}.")


def choose(files: Mapping[str, tuple[str, int | None]], wanted: HubPlace) -> str:
    """The file that is meant, or the one to take where none is named. Raises NotFound (a near miss), RequestError."""
    ggufs = [path for path in files if path.lower().endswith(".gguf") and "mmproj" not in path.lower()]
    whole = [path for path in ggufs if not re.search(r"-\d{5}-of-\d{5}\.", path)]
    if wanted.file is not None:
        if wanted.file in files and wanted.file.lower().endswith(".gguf"):
            return wanted.file
        near = difflib.get_close_matches(wanted.file, whole, 1, 0.3)
        hint = f'did you mean "{near[0]}"?' if near else f"it holds {len(files)} files, and no GGUF."
        raise NotFound(f"{wanted.repo}: no GGUF file {wanted.file}; {hint}")
    for form in FORMATS:
        for path in sorted(whole, key=len):
            if re.search(rf"(?:^|[-._/]){form}\.gguf$", path, re.IGNORECASE):
                return path
    if len(whole) == 1:
        return whole[0]
    what = f"several GGUF files: name one of {', '.join(sorted(whole)[:6])}" if whole else "no whole GGUF file"
    raise RequestError(
        f"{wanted.repo}: holds {what}. "
        + ("" if whole else f"There may be a repository {wanted.repo}-GGUF, or one of somebody who converts models.")
    )


def _license(about: Mapping[str, Any]) -> str:
    card, tags = about.get("cardData"), about.get("tags")
    named = card.get("license_name") or card.get("license") if isinstance(card, dict) else None
    for tag in tags if isinstance(tags, list) and not isinstance(named, str) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            named = tag.removeprefix("license:")
    return named[:60] if isinstance(named, str) and named.isprintable() else ""
