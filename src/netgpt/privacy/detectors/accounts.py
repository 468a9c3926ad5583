"""Where a person is known by a name of their own choice: profile pages, announced handles and user names, home folders.

A decorator (`@dataclass`), a package (`@types/node`) or a repository (`github.com/python/cpython`) is nobody's profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
from netgpt.types import Span

_RUN = re.compile(r"[^\s\"'<>()\[\]{},;|]{1,2000}")
"""No address reaches over a blank or a bracket; only runs that hold a slash are searched."""
_HOST: Final = r"(?:https?://)?(?:www\.|m\.|old\.|[a-z]{2}\.)?"
_END: Final = r"(?:[/?\#][\w\-./?=&%+~\#@]{0,200})?"
_PAGE = re.compile(
    rf"(?i)(?<![\w.@\-])(?P<url>{_HOST}(?:"
    r"linkedin\.com/(?:in|pub)/|(?:facebook|fb|instagram|twitter|x|vk|pinterest)\.com/(?=[\w.]{3})"
    r"|tiktok\.com/@|threads\.net/@|medium\.com/@|youtube\.com/(?:@|user/)|reddit\.com/u(?:ser)?/|t\.me/"
    r"|xing\.com/profile/|researchgate\.net/profile/|bsky\.app/profile/|snapchat\.com/add/|flickr\.com/people/"
    r"|stackoverflow\.com/users/(?=\d)|keybase\.io/|mastodon\.social/@|orcid\.org/(?=\d{4}-)|wa\.me/(?=\d))"
    rf"(?P<name>[\w.\-%]{{2,80}}){_END})"
)
_OF_CODE = re.compile(  # one step of a path is a person or a firm, two are a project
    rf"(?i)(?<![\w.@\-])(?P<url>{_HOST}(?:github|gitlab|bitbucket)\.(?:com|org)/(?P<name>[\w\-]{{2,39}})/?)(?![\w\-/])"
)
_PERSONAL = re.compile(
    r"(?i)(?P<url>https?://[\w.\-]{3,100}(?::\d{1,5})?/(?:[\w\-]{1,40}/){0,3}"
    r"(?:~|(?:users?|people|profiles?|members?|staff|authors?|u)/)"
    rf"(?P<name>[^\W\d_][\w]{{0,30}}(?:[.\-_][^\W\d_][\w]{{0,30}}){{0,3}}\d{{0,6}}){_END})"
)
_PAGES_OF_NOBODY: Final = word_set(
    """
    about login signup features pricing topics trending orgs settings search explore home help events groups watch
    marketplace pages hashtag intent share sharer p reel reels stories tv i privacy terms policies legal jobs careers
    download blog docs api developers business ads notifications messages enterprise security sponsors collections
    collaborations customer-stories readme new notes join me self current example edit delete list
    """
)
_LAST = ".,;:!?)]}'\"*_"

HANDLE_WORDS: Final = word_set(
    """
    twitter instagram insta tiktok handle handles mastodon telegram discord threads bluesky snapchat snap dm follow
    username account profile tagged tweet github youtube twitch reddit
    """
)
_HANDLE = re.compile(r"(?<![\w@/.\-`])@(?P<name>[A-Za-z][\w.]{1,29}\w)(?![\w@/(-])")
_NEAR: Final = 60
"""Characters before and behind a handle in which a word must say that it is one."""
_WORD = re.compile(r"[^\W\d_]{2,20}")

USER_WORDS: Final = word_set(
    "username handle nickname gamertag login benutzername nutzername utilisateur usuario user screen"
)
_USERNAME = re.compile(
    r"(?i)(?<![\w.])(?:user ?name|screen ?name|handle|nickname|gamertag|login(?: name)?|benutzername|nutzername"
    r"|nom d'utilisateur|nombre de usuario)[\"'*]{0,3} {0,2}(?:is |ist |est |es |: {0,2})[\"'*]{0,3}"
    r"(?P<name>[A-Za-z0-9][\w.\-]{1,38}\w)(?![\w@(\[.]\w)"
)
_CHOSEN = re.compile(r"(?=.*[A-Za-z])(?:.*[\d_].*|[A-Za-z]+[.\-][A-Za-z].*)")
"""A chosen name, unlike a word of the sentence, has a digit, an underscore, or a sign within."""

_HOME = re.compile(r"(?<![\w.])(?:/home/|/Users/|[A-Za-z]:\\{1,2}Users\\{1,2})(?P<name>[A-Za-z][\w.\-]{1,31})(?=[/\\])")
_HOMES_OF_NOBODY: Final = word_set(
    """
    user users username you your me ubuntu root admin administrator runner vagrant ec2-user pi app node work jovyan
    public shared default developer dev test docker circleci yourname your-name name linuxbrew
    """
)


@detector(
    kind="URL",
    family="contact",
    triggers=lambda seen: "/" in seen.text and "." in seen.text,
    examples=("I am at https://www.linkedin.com/in/ada-lovelace",),
)
def find_profiles(text: str) -> Iterator[Span]:
    """Addresses of profile pages, whole."""
    for run in _RUN.finditer(text):
        if "/" in run[0] and "." in run[0]:
            yield from _pages(text, *run.span())


def _pages(text: str, start: int, end: int) -> Iterator[Span]:
    for form in (_PAGE, _OF_CODE, _PERSONAL):
        for match in form.finditer(text, start, end):
            name = match["name"].rstrip(_LAST).lower()
            if len(name) < 2 or name in _PAGES_OF_NOBODY or (form is _PERSONAL and not _is_personal(match)):
                continue
            url = match["url"].rstrip(_LAST)
            yield Span(match.start("url"), match.start("url") + len(url), "URL", "pattern:profile", 0.9)


def _is_personal(match: re.Match[str]) -> bool:
    """On a host of any kind: "~ada", or a name of two words."""
    return match.string[match.start("name") - 1] == "~" or any(c in ".-_" for c in match["name"])


@detector(
    kind="USERNAME",
    family="identity",
    triggers=lambda seen: "@" in seen.text and seen.has_any(HANDLE_WORDS),
    examples=("follow me on twitter: @ada_mills",),
)
def find_handles(text: str) -> Iterator[Span]:
    """`@name` near a word that says what it is."""
    for match in _HANDLE.finditer(text):
        around = text[max(0, match.start() - _NEAR) : match.start()] + " " + text[match.end() : match.end() + _NEAR]
        if any(word[0].lower() in HANDLE_WORDS for word in _WORD.finditer(around)):
            yield Span(*match.span(), "USERNAME", "pattern:handle", 0.8)


@detector(kind="USERNAME", family="identity", triggers=USER_WORDS, examples=("my username is ada_1815",))
def find_usernames(text: str) -> Iterator[Span]:
    """Announced user names that are no plain word."""
    for match in _USERNAME.finditer(text):
        if _CHOSEN.fullmatch(match["name"]):
            yield Span(*match.span("name"), "USERNAME", "pattern:username", 0.8)


@detector(
    kind="USERNAME",
    family="identity",
    triggers=lambda seen: "/home/" in seen.text or "Users" in seen.text,
    examples=("see /home/alovelace/notes.txt",),
)
def find_homes(text: str) -> Iterator[Span]:
    """The owner's name in the path of a home folder."""
    for match in _HOME.finditer(text):
        if match["name"].lower() not in _HOMES_OF_NOBODY:
            yield Span(*match.span("name"), "USERNAME", "pattern:home", 0.8)
