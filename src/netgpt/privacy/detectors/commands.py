"""Accounts and their passwords in command lines, in logs, and in lists of who does what."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.detectors.normalize import lower_case, places
from netgpt.privacy.detectors.secret_values import read_value
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_PROGRAM: Final = (
    r"(?:docker|podman|helm registry|oras|buildah|skopeo|az|cf|oc|npm|nerdctl|crane|gh|heroku)\s+login"
    r"|sshpass|mysql\w*|mariadb\w*|mongo\w*"
    r"|redis-cli|ldap\w{3,8}|smbclient|sqlcmd|bcp|7z|zip|unzip|rar|curl|wget|http|https|htpasswd|psql"
    r"|pg_dump|rabbitmqadmin"
    r"|sqlplus|isql|tsql|kinit|svn|rpcclient|net use|snmp\w{2,6}|openssl|keytool|gpg|xfreerdp|rdesktop"
    r"|winexe|impacket-\w+"
)
_COMMAND = re.compile(rf"(?<![\w./\-])(?:{_PROGRAM})(?=[ \t])(?P<line>(?:[^\n\\|;]|\\\n|\\.){{1,600}})")
_SECRET_FLAG: Final = {
    "docker": "-p", "podman": "-p", "helm": "-p", "oras": "-p", "buildah": "-p", "skopeo": "-p", "az": "-p", "cf": "-p",
    "oc": "-p", "nerdctl": "-p", "crane": "-p", "sshpass": "-p", "mysql": "-p", "mariadb": "-p", "mongo": "-p",
    "redis-cli": "-a", "ldap": "-w", "sqlcmd": "-P", "bcp": "-P", "7z": "-p", "zip": "-P", "unzip": "-P", "rar": "-p",
    "rabbitmqadmin": "-p", "isql": "-P", "tsql": "-P", "snmp": "-A", "xfreerdp": "/p:", "rdesktop": "-p",
}  # fmt: skip
_ATTACHED: Final = ("mysql", "mariadb", "7z", "rar", "xfreerdp")
_LOGIN_FLAG = re.compile(
    r"(?<!\S)(?:-u|-U|--user|--proxy-user|-a|--auth|--creds|--user=|--auth=)[ =]?[\"']?"
    r"(?P<name>[\w.@+\\\-]{1,60})[:%](?P<value>)"
)
_ARGUMENT = re.compile(r"[^\s\"']+(?=\s)")
_OPENSSL = re.compile(r"(?<!\S)-pass(?:in|out)?[ ]pass:(?P<value>)")
_PAIR = re.compile(
    r"(?i)(?<![\w\-])(?:(?P<sure>log-?in(?: data| details)?|credentials?|creds|zugangsdaten"
    r"|anmeldedaten|identifiants|credenciales"
    r"|credenziali|credenciais|inloggegevens|логин|логин/пароль|dane logowania|giriş)|access|account"
    r"|acc|acceso|accesso|accès)"
    r"[\"'*`]{0,3}[ ]?(?:[:=]|\bare\b|\bis\b)[ ]{0,2}[\"'`]?(?P<name>[\w.@+\-]{2,60})(?P<by>[ ][/"
    r"|:,][ ]|[/:|])(?P<value>)"
)
_BASIC = re.compile(r"(?i)\bbasic[ ]+(?P<value>[A-Za-z0-9+/]{6,400}={0,2})(?![\w+/=])")
_CHPASSWD = re.compile(
    r"(?:echo|printf)[ ]+(?:-\w[ ]+)?[\"']?(?P<name>[\w.\-]{1,32}):(?P<value>)(?=[^\n|]{3,80}\|[ ]?"
    r"(?:sudo[ ]+)?chpasswd)"
)
_CALL = re.compile(
    r"(?i)[a-z_]{4,12}(?:\s?=\s?)?\(\s{0,4}"
    r"(?P<name>[\"'][^\"'\n]{1,60}[\"']|[\w.]{1,40}),\s{0,4}(?P<value>)(?=[frbu]?[\"'])"
)
_PROGRAMS: Final = word_set(
    """
        docker podman helm oras buildah skopeo az cf oc npm nerdctl crane gh heroku sshpass mysql mariadb mongo
    redis-cli ldap
    smbclient sqlcmd bcp 7z zip unzip rar curl wget http htpasswd psql pg_dump rabbitmqadmin sqlplus isql tsql kinit svn
    rpcclient net snmp openssl keytool gpg xfreerdp rdesktop winexe impacket
    """
)
_PAIRED: Final = (
    "login", "log-in", "cred", "zugangs", "anmelded", "identifiants", "inloggeg", "логин", "dane log", "giriş",
    "access", "acc", "account",
)  # fmt: skip
_CALLED: Final = (
    "login(",
    "authenticate(",
    "basic_auth(",
    "basicauth(",
    "credentials(",
    "credential(",
    "auth=(",
    "auth = (",
)


def _may_command(seen: Prefilter) -> bool:
    lowered = seen.lowered
    return " -" in lowered or "basic" in seen.words or any(word in lowered for word in (*_PAIRED, "chpasswd", "auth"))


@detector(
    kind="API_KEY",
    family="secret",
    secret=True,
    triggers=_may_command,
    examples=("docker login -u lena -p Gr0vekite", "login: lena / quietfox"),
)
def find_logins(text: str) -> Iterator[Span]:
    """Passwords in command lines and beside the name of an account."""
    for place in _logins(text):
        if place is not None:
            yield Span(*place, "API_KEY", "pattern:login", 0.8)


def _logins(text: str) -> Iterator[tuple[int, int] | None]:
    lowered = lower_case(text)
    for match in _matches(_PAIR, text, places(lowered, _PAIRED)):
        loose = match["sure"] is None or not match["by"].startswith(" ")
        if match["by"] != "," or match["sure"]:
            yield read_value(text, match.end(), weak=not loose, prose=True)
    for match in _matches(_CALL, text, places(lowered, _CALLED)):
        yield read_value(text, match.end())
    for match in _CHPASSWD.finditer(text) if "chpasswd" in text else ():
        yield read_value(text, match.end(), stop="|")
    for match in _matches(_BASIC, text, places(lowered, ("basic ",))):
        if _holds_login(match["value"]):
            yield match.span("value")
    if " -" in text or " /p:" in text:
        done = 0
        for command in _matches(_COMMAND, text, places(text, _PROGRAMS)):
            if command.start() >= done:
                done = command.end()
                yield from _of_command(text, command)


def _matches(form: re.Pattern[str], text: str, at: list[int]) -> Iterator[re.Match[str]]:
    return (match for place in at if (match := form.match(text, place)))


def _of_command(text: str, command: re.Match[str]) -> Iterator[tuple[int, int] | None]:
    program = command[0].split()[0]
    for form in (_LOGIN_FLAG, _OPENSSL):
        for match in form.finditer(text, command.start("line"), command.end("line")):
            yield _argument(text, match.end())
    flag = next((flag for known, flag in _SECRET_FLAG.items() if program.startswith(known)), None)
    if flag is None:
        return
    gap = "" if program.startswith(_ATTACHED) else "[ ]"
    for match in re.finditer(
        rf"(?<!\S){re.escape(flag)}{gap}(?![\s\-])", text[: command.end("line")][command.start("line") :]
    ):
        yield _argument(text, command.start("line") + match.end())


def _argument(text: str, at: int) -> tuple[int, int] | None:
    """One word of a command, or one in quotes."""
    end = _ARGUMENT.match(text, at)
    return read_value(text[: end.end()] if end else text, at)


def _holds_login(value: str) -> bool:
    """Whether the value of "Basic" is the name and password that RFC 7617 encodes."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return False
    return ":" in decoded and decoded.isprintable()


_NOBODY: Final = word_set(
    """
    root admin administrator user users guest nobody www-data postgres mysql daemon system service bot none null unknown
    anonymous unassigned me everyone here channel all team git ubuntu ec2-user centos debian pi vagrant runner jenkins
    docker app node test default operator deploy nginx apache http ftp mail sshd systemd oracle redis mongodb mongo sa
    name username your youruser your-user my myuser uid gid n/a na tbd todo auto automatic nil undefined lambda self
    is was the and for with from to by on in at of no yes not id uuid string required optional someone somebody
    """
)
_LOGGED: Final = tuple(
    (hint, re.compile(form, re.MULTILINE))
    for hint, form in (
        ("sudo", r"\bsudo(?:\[\d{1,7}\])?:[ ]{1,4}(?P<name>[\w.\-]{2,32})[ ]:[ ]"),
        ("Accepted", r"Accepted [\w\-/]{3,30} for (?P<name>[\w.\-]{2,32}) from\b"),
        ("Failed", r"Failed \w{4,20} for (?:invalid user )?(?P<name>[\w.\-]{2,32}) from\b"),
        ("user", r"\b(?:[Ii]nvalid|[Aa]uthenticating|[Dd]isconnected from) user (?P<name>[\w.\-]{2,32})\b"),
        ("session", r"session (?:opened|closed) for user (?P<name>[\w.\-]{2,32})"),
        ("password changed", r"password changed for (?P<name>[\w.\-]{2,32})\b"),
        ("new user", r"new user: name=(?P<name>[\w.\-]{2,32})"),
        (" - ", r"^[0-9a-fA-F:.]{3,45} - (?P<name>[A-Za-z][\w.@\-]{1,40}) \[\d\d/[A-Z][a-z]{2}/\d{4}:"),
        ("@", r"(?<!\S)(?:ssh|scp|sftp|rsync|mosh|ssh-copy-id)[ ][^\n|;@]{0,120}?(?<![\w.])"
              r"(?P<name>[A-Za-z_][\w.\-]{1,31})@[\w.\-]{1,80}"),
        ("su", r"(?<!\S)(?:su -|su|usermod -aG \w{2,20})[ ](?P<name>[a-z_][a-z0-9_.\-]{2,31})(?=[ ]*(?:\n|\Z|&&|;))"),
        ("user", r"(?<!\S)(?:userdel|useradd|adduser|deluser|chage -l)[ ]"
                 r"(?P<name>[a-z_][a-z0-9_.\-]{2,31})(?=[ ]*(?:\n|\Z|&&|;))"),
        ("=", r"(?<![\w.\-])(?:user|usr|username|login|uid|account|acct|actor|principal|logname|suser|duser)=[\"']?"
              r"(?P<name>(?=[\w\-]{0,30}\d|[a-z]\.[a-z]{3})[A-Za-z][\w.\-]{2,31})(?![\w.@\-(\[])"),
        ("docker login", r"docker login [^\n]{0,120}?(?:-u|--username)[ =](?P<name>[\w.\-]{2,32})"),
        ("chown", r"chown [ ]?(?P<name>[a-z_][\w.\-]{2,31}):"),
        ("/home/", r"(?:PWD|HOME|home|homedir|cwd)[=:][ \"']?/home/(?P<name>[a-z][\w.\-]{2,31})(?![\w/])"),
    )
)  # fmt: skip
"""(quick look, form) of the names of accounts in logs and commands."""
_MOST_NAMES: Final = 40
"""Names that are looked for in the rest of a text."""
_ROLE = re.compile(
    r"(?i)(?<![\w\-])(?P<role>assignees?|assigned[ _]to|reporters?|reported[ _]by|watchers?|reviewers?"
    r"|reviewed[ _]by|approvers?|approved[ _]by"
    r"|requested[ _]by|requester|created[ _]by|updated[ _]by|modified[ _]by|deployed[ _]by"
    r"|merged[ _]by|committed[ _]by|resolved[ _]by"
    r"|on-?call|last touched by|touched by|last edited by|opened by|closed by|triaged by|owned by"
    r"|codeowners?|bearbeiter|zuständig"
    r"|responsable|asignado a|assigné à)[\"'*]{0,3}(?P<sign>[ ]?[:=][ ]?|[ ](?=@?[a-z]))"
)
_ROLES: Final = (
    "assign", "report", "watcher", "review", "approve", "request", "created", "updated", "modified", "deployed",
    "merged", "committed", "resolved", "oncall", "on-call", "last ", "touched", "opened", "closed", "triaged", "owned",
    "codeowner", "bearbeiter", "zuständig", "responsable", "asignado",
)  # fmt: skip
_MEMBER = re.compile(r"[\[\"'@*]{0,3}(?P<name>[a-z][a-z0-9._\-]{2,31})(?![\w@(/]|[\"'*]?[ ]?[:=])[\"'\]*]{0,3}")
_NEXT_MEMBER = re.compile(r"[ ]?,[ ]?|[ ]and[ ]|[ ]?/[ ]?")
_LIST_ITEM = re.compile(r"\n[ \t]{0,12}-[ ](?=[a-z])")
_ONSET = re.compile(
    r"[bcdfghjklmnpqrstvwxz]{2}(?<!bl)(?<!br)(?<!ch)(?<!cl)(?<!cr)(?<!dr)(?<!dw)(?<!fl)(?<!fr)(?<!gh)"
    r"(?<!gl)(?<!gn)(?<!gr)"
    r"(?<!kl)(?<!kn)(?<!kr)(?<!ph)(?<!pl)(?<!pr)(?<!ps)(?<!rh)(?<!sc)(?<!sh)(?<!sk)(?<!sl)(?<!sm)"
    r"(?<!sn)(?<!sp)(?<!sq)(?<!st)"
    r"(?<!sw)(?<!th)(?<!tr)(?<!ts)(?<!tw)(?<!wh)(?<!wr)(?<!kh)(?<!zh)(?<!sv)[a-z]{2,}"
    r"|[bcdfghjklmnpqrstvwxz](?:gr|kh|schm|schn|schw|br|kr|tr)[a-z]{3,}"
)
"""How an initial and a family name begin together, and no word: "tnowak", "hgruenwald"."""
_MENTION = re.compile(r"@(?P<name>[a-z][\w.\-]{1,29}\w)(?![\w@(/\-]|:\w)")
_MENTION_BEFORE = re.compile(
    r"(?i)(?:\b(?P<word>ask|asked|cc|ping|tell|hey|hi|hello|thanks|you|fyi|notify|poke|remind|in|to"
    r"|message|dm|invite|paging"
    r"|let|for|by|from|with|and|or|via)[ ,]|[,+.!?:]?[ ]|^)\Z", re.MULTILINE,
)  # fmt: skip
_CALLING: Final = word_set(
    "ask asked cc ping tell hey hi hello thanks fyi notify poke remind message dm invite paging assign assigned"
)
_MENTION_NOT: Final = word_set(
    """
    dataclass property staticmethod classmethod override media import param params return returns throws throw
        deprecated apply tailwind include extend mixin use forward keyframes font-face supports layer container
    page charset here
    channel everyone all team component injectable input output test before after autowired bean controller service
    repository entity table column id author since see link code type typedef template class interface private public
    internal example default ts-ignore ts-expect-error pytest fixture app route get post put delete patch api cached
    lru_cache cache wraps contextmanager abstractmethod types babel angular vue react nestjs storybook eslint jest
        latest next beta alpha canary main master head echo off rem file version license copyright package method
    function module
    """
)


def _may_name_accounts(seen: Prefilter) -> bool:
    lowered = seen.lowered
    return (
        "@" in lowered
        or "user" in lowered
        or "sudo" in lowered
        or " by " in lowered
        or "assign" in lowered
        or (
            " - " in lowered
            or "report" in lowered
            or "ssh " in lowered
            or "login" in lowered
            or "call" in lowered
            or "review" in lowered
            or "approve" in lowered
            or "account" in lowered
            or "accepted" in lowered
            or "su " in lowered
            or "_by" in lowered
            or "owner" in lowered
            or "for " in lowered
            or "watcher" in lowered
            or "request" in lowered
        )
    )


@detector(
    kind="USERNAME",
    family="identity",
    triggers=_may_name_accounts,
    examples=("sudo: tnowak : TTY=pts/0 ; PWD=/", "assignee: zkhumalo, reporter: upfannkuch", "cc @uwe.k please"),
)
def find_accounts(text: str) -> Iterator[Span]:
    """Names of accounts in logs, command lines, lists of people in charge and messages; then wherever they stand."""
    found = dict.fromkeys((*_logged(text), *_in_charge(text)), "pattern:account")
    for start, end in [*found][:_MOST_NAMES]:
        if end - start >= 5 or _ONSET.match(text, start, end):
            found |= dict.fromkeys(_everywhere(text, text[start:end]), "pattern:account")
    if "@" in text:
        found |= dict.fromkeys(_mentioned(text), "pattern:mention")
    for (start, end), rule in found.items():
        yield Span(start, end, "USERNAME", rule, 0.7)


def _logged(text: str) -> Iterator[tuple[int, int]]:
    for hint, form in _LOGGED:
        for match in form.finditer(text) if hint in text else ():
            if match["name"].lower() not in _NOBODY and not match["name"].isdigit():
                yield match.span("name")


def _everywhere(text: str, name: str) -> Iterator[tuple[int, int]]:
    """The other places of a name, where it stands apart."""
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        if not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
            yield at, end
        at = text.find(name, end)


def _in_charge(text: str) -> Iterator[tuple[int, int]]:
    """Behind "assignee:", "reviewers:" and the like, in one line or as a list."""
    for role in _matches(_ROLE, text, places(lower_case(text), _ROLES)):
        said = role["sign"].strip() == ""
        at = role.end()
        if not said and (item := _LIST_ITEM.match(text, role.end())):
            while item is not None:
                if (member := _MEMBER.match(text, item.end())) and _is_account(member["name"], said=False):
                    yield member.span("name")
                item = _LIST_ITEM.match(text, member.end() if member else item.end())
            continue
        while (member := _MEMBER.match(text, at)) is not None:
            if not _is_account(member["name"], said=said):
                break
            start, end = member.span("name")
            yield start, end - (text[end - 1] in ".-")
            following = _NEXT_MEMBER.match(text, member.end())
            if following is None:
                break
            at = following.end()


def _is_account(name: str, *, said: bool) -> bool:
    """`said`: within a sentence, where a plain word is just the next word."""
    if name.strip(".-") in _NOBODY or ("-" in name and not any(c.isdigit() for c in name)):
        return False
    return not said or _ONSET.match(name) is not None or any(c.isdigit() or c in "._" for c in name.strip("._"))


def _mentioned(text: str) -> Iterator[tuple[int, int]]:
    """`@name` of somebody who is spoken to, in a text that speaks to somebody."""
    found, chat = [], "<@U" in text or "<#C" in text
    for at in places(text, ("@",)):
        match, before = _MENTION.match(text, at), _MENTION_BEFORE.search(text, max(0, at - 10), at)
        if match is None or before is None or match["name"].partition(".")[0] in _MENTION_NOT:
            continue
        chat = chat or (before["word"] or "").lower() in _CALLING
        if (
            before["word"]
            or at == 0
            or text[at - 1] in "\n,"
            or text[max(0, at - 2) : at] in (", ", ". ", "! ", "? ", ": ", "+ ")
        ):
            found.append(match)
    for match in found if chat else ():
        yield match.start(), match.end() - (text[match.end() - 1] in ".-")
