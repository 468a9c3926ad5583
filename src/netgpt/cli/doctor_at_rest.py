"""What `netgpt doctor` says of keys, rules, certificates, receipts and retention, each with the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netgpt.types import display_name

if TYPE_CHECKING:
    from netgpt.settings import Settings

__all__ = ["State", "key", "modes", "policy", "receipts", "retention", "tls"]

State = tuple[str, str]
""" "ok", "note" or "wrong", and what to say."""


def modes(settings: Settings) -> State:
    """Whether anybody else could read what lies in the home folder."""
    files = [settings.home, settings.database, settings.key_file]
    here = [path for path in files if path.exists()]
    open_to_others = [path for path in here if path.stat().st_mode & 0o077]
    if open_to_others:
        return "wrong", f"others can read it: chmod go= {' '.join(map(str, open_to_others))}"
    return "ok", ", ".join(f"{path.name} {path.stat().st_mode & 0o777:o}" for path in here)


async def key(settings: Settings) -> State:
    """Where the sealing key comes from, and whether a change of it is unfinished."""
    from netgpt.store.from_settings import open_store

    store = open_store(settings)
    try:
        known = await store.sealing.info()
    finally:
        await store.close()
    if known.key_kind == "file" and len(known.key_ids) > 1:
        return "wrong", f"{known.key_source}: a change of the key was cut; `netgpt store rotate` finishes it"
    lies_about = known.key_kind != "file" and settings.key_file.exists()
    if lies_about:
        return "note", f"{known.key_kind}, key {known.key_ids[0]}; {settings.key_file} is not used: move it away"
    return "ok", f"{known.key_kind}, key {known.key_ids[0]}"


async def policy(settings: Settings) -> State:
    """Whether the rules in force can be read."""
    from netgpt.policy.engine import Policy

    rules = Policy.load(settings.policy.set)
    if rules.name == "open":
        return "note", "open: nothing is kept on the box; set policy.set to balanced, strict or health"
    return "ok", rules.name


async def tls(settings: Settings) -> State:
    """Whether callers and the cloud are spoken to in secret."""
    from netgpt.web.tls import server_tls

    context, remarks = server_tls(settings.server)
    if remarks:
        return "note", " ".join(remarks)
    for arm, remote in settings.remotes.items():
        url = remote.base_url or ""
        if url.startswith("http://") and not any(here in url for here in ("//127.", "//localhost", "//[::1]")):
            section = "cloud" if arm == "cloud" else f"upstreams.{arm}"
            return (
                "wrong",
                f"{display_name(arm)} is asked over plain http, which others can read: set {section}.base_url to https://",
            )
    return "ok", "https" if context else f"plain http on {settings.server.host}"


async def receipts(settings: Settings) -> State:
    """Whether the chain of receipts is whole."""
    from netgpt.store.from_settings import open_store

    store = open_store(settings)
    try:
        checked = await store.receipts.verify()
    finally:
        await store.close()
    if not checked.whole:
        return "wrong", f"{len(checked.faults)} faults in the chain: `netgpt receipts verify` names them"
    return "ok", f"{checked.receipts} receipts, whole; head {str(checked.head)[:24]}"


async def retention(settings: Settings) -> State:
    """How long what is kept."""
    kept, learnt = settings.store, settings.training.keep_examples_days
    days = f"exchanges {kept.keep_exchanges_days:g}, maps {kept.keep_maps_days:g}, receipts {kept.keep_receipts_days:g}"
    return "ok", f"in days: {days}, examples {learnt:g}; texts are {'kept sealed' if kept.keep_text else 'not kept'}"
