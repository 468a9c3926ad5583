"""What each target can do, by kind of task: profiles that were measured, shipped or published, for whoever routes.

The measured ones are in the home (`capability.json`, 0600, vouched for as `netgpt.proofs` says), by the SHA-256 of the
weights or by address and name. A profile of other weights is nobody's; a file that was cut or changed by hand counts
as none, and the log says so: the box then claims less.
"""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.capability.profile import Profile, ProfileList, of_remote, of_weights
from netgpt.errors import NetGPTError, StoreError
from netgpt.files import why_not
from netgpt.judgement import TASK_KINDS
from netgpt.models.catalog import Catalog
from netgpt.models.download import file_sha256, locked, write_whole
from netgpt.proofs import NO_FILE, FileProof, ProvenFile
from netgpt.settings import Settings
from netgpt.types import EDGE

log = logging.getLogger(__name__)

Prior = Callable[[str, str], float | None]
"""(target, kind of task) -> how likely that target's answer does, 0 to 1; None: nothing is known of it."""
FILE: Final = "capability.json"
_MOST_BYTES: Final = 4_000_000
_ACCEPT: Final = "netgpt models accept"


class ProfileFile:
    """The profiles of a home, over those that came with the package. Blocks: the file is small and read rarely."""

    def __init__(self, home: Path, proof: FileProof | None = None) -> None:
        self.path = home / FILE
        self._file = ProvenFile(self.path, FILE, proof, most=_MOST_BYTES, accept=_ACCEPT)

    def stamp(self) -> int:
        """A number that differs when the file was written (0: there is none). Costs one `stat`."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def of(self, subject: str) -> Profile | None:
        """The profile of just these weights, shipped or measured here, whichever asked more; None: there is none, or
        the file cannot be believed (the log says so)."""
        try:
            own = self.own(subject)
        except StoreError as error:
            log.warning("capability: %s", error.message)
            own = None
        known = [profile for profile in (own, shipped().of(subject)) if profile is not None]
        return max(known, key=lambda profile: profile.asked, default=None)

    def own(self, subject: str) -> Profile | None:
        """What was measured here. Raises StoreError: the file cannot be believed."""
        return self._read().of(subject)

    def save(self, profile: Profile) -> None:
        """Put it in the place of what is known of these weights. Raises StoreError: the file cannot be believed or
        written."""
        with self._locked():
            self._write(ProfileList(profiles={**self._read().profiles, profile.subject: profile}))

    def forget(self, subject: str) -> None:
        """Drop what was measured of these weights."""
        with self._locked():
            kept = {name: profile for name, profile in self._read().profiles.items() if name != subject}
            self._write(ProfileList(profiles=kept))

    def tampered(self) -> dict[str, str]:
        """What is wrong with the file; empty: nothing is."""
        try:
            self._read()
        except StoreError as error:
            return {FILE: error.message}
        return {}

    def accept(self) -> None:
        """Take the file as it stands, on the owner's word; one that cannot be read is emptied."""
        with self._locked():
            try:
                held = self._parsed(self._file.read_unproven())
            except StoreError:
                held = ProfileList()
            self._write(held)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.path.parent, "capability.lock", StoreError)

    def _read(self) -> ProfileList:
        try:
            return self._parsed(self._file.read())
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {why_not(error)}") from None

    def _parsed(self, data: bytes) -> ProfileList:
        try:
            return ProfileList() if data == NO_FILE else ProfileList.parse(data)
        except ValueError as error:
            raise StoreError(
                f"{self.path}: {error}. Nothing is believed of it; `{_ACCEPT}` empties it, then measure again with "
                "`netgpt models measure`."
            ) from None

    def _write(self, profiles: ProfileList) -> None:
        text = profiles.model_dump_json(indent=1)
        self._file.write(text.encode(), lambda: write_whole(self.path, text, StoreError))


@cache
def shipped() -> ProfileList:
    """The profiles that came with the package: of the bundled weights, measured by its makers."""
    return ProfileList.parse(resources.files("netgpt.capability").joinpath("shipped.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Published:
    """What the makers of a family of models say of it: a share by kind, 0 to 1, and where they say so."""

    chances: Mapping[str, float]
    source: str


def published(name: str) -> Published | None:
    """The published scores of the family that a model's name belongs to; None: it is in no catalogue."""
    plain = name.lower().replace("_", "-")
    for family in _families():
        if re.search(family["match"], plain):
            return Published({kind: score / 100 for kind, score in family["scores"].items()}, family["source"])
    return None


@cache
def _families() -> list[dict[str, Any]]:
    text = resources.files("netgpt.capability").joinpath("published.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["family"])


@dataclass(frozen=True, slots=True)
class Subject:
    """A model whose ability can be known: the name to show, and by what its profile is found."""

    name: str
    key: str


def weights_subject(catalog: Catalog, name_or_path: str) -> Subject:
    """Weights on this box, by catalogue name or path. A file by its path is read whole (seconds for a large one).

    Raises NotFound: there are no such weights.
    """
    if "/" in name_or_path or name_or_path.lower().endswith(".gguf"):
        path = catalog.resolve(name_or_path)
        return Subject(path.stem, of_weights(file_sha256(path)))
    return Subject(name_or_path, of_weights(catalog.show(name_or_path).sha256))


def subjects(settings: Settings, proof: FileProof | None) -> dict[str, Subject]:
    """Every target and what its profile is found by; targets of which nothing can be known are left out."""
    found = {
        target: Subject(remote.model, of_remote(remote.base_url or "", remote.model))
        for target, remote in settings.remotes.items()
    }
    edge = settings.edge
    if edge.is_off:
        return found
    if edge.base_url is not None:
        return found | {EDGE: Subject(edge.model, of_remote(edge.base_url, edge.model))}
    try:
        return found | {EDGE: weights_subject(Catalog(settings.models_dir, proof), edge.model)}
    except NetGPTError as error:
        log.warning("capability: nothing is known of the model on the box: %s", error.message)
        return found


def chances(profile: Profile | None, name: str) -> dict[str, float]:
    """What is known of a model, by kind: measured, drawn to the published, to the mean where little was asked."""
    told = published(name)
    scores = told.chances if told else {}
    if profile is None:
        mean = sum(scores.values()) / len(scores) if scores else None
        return {} if mean is None else {kind: scores.get(kind, mean) for kind in TASK_KINDS}
    known = ((kind, profile.chance(kind, scores)) for kind in TASK_KINDS)
    return {kind: chance for kind, chance in known if chance is not None}


class CapabilityService:
    """The chances of all targets in memory; a look at the home when `refresh` is called. `prior` costs two look-ups."""

    def __init__(self, settings: Settings, proof: FileProof | None, *, built_in: bool = True) -> None:
        """`built_in`: the edge is the engine with the configured weights; else nothing is known of it, unless it is a
        server that the settings name."""
        self._settings, self._proof, self._built_in = settings, proof, built_in
        self._profiles = ProfileFile(settings.home, proof)
        self._subjects: dict[str, Subject] = {}
        self._known: dict[str, tuple[Profile | None, dict[str, float]]] = {}
        self._stamp: int | None = None

    def refresh(self) -> None:
        """Read what was measured since the last look. Blocks; never raises."""
        stamp = self._profiles.stamp()
        if self._stamp == stamp:
            return
        self._subjects = self._subjects or subjects(self._settings, self._proof)
        if not self._built_in and self._settings.edge.base_url is None:
            self._subjects.pop(EDGE, None)
        known = {}
        for target, subject in self._subjects.items():
            profile = self._profiles.of(subject.key)
            known[target] = profile, chances(profile, subject.name)
        self._known, self._stamp = known, stamp

    def prior(self, target: str, kind: str) -> float | None:
        """A `Prior`."""
        known = self._known.get(target)
        return known[1].get(kind) if known else None

    def shown(self, target: str) -> dict[str, Any] | None:
        """Kinds and figures of a target, for anybody who may ask for it; None: nothing is known."""
        profile, chances = self._known.get(target, (None, {}))
        if not chances:
            return None
        origin = "published" if profile is None else "measured"
        kinds = profile.shown() if profile is not None else {}
        return {
            "origin": origin,
            "kinds": {kind: {"chance": round(chance, 3), **kinds.get(kind, {})} for kind, chance in chances.items()},
        }
