"""The programs that a repository's own configuration names, and the settings that keep git from running them.

A cloned or unpacked repository can bring hooks, filters, drivers, pagers and remotes that are programs. What users set
for themselves, outside the repository, is left alone, but for hooks and signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Setting = tuple[str, str]

QUIET: tuple[Setting, ...] = (
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.editor", ":"),
    ("sequence.editor", ":"),
    ("core.askPass", ""),
    ("core.sshCommand", "false"),
    ("core.gitProxy", ""),
    ("core.alternateRefsCommand", "true"),
    ("core.quotePath", "false"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("safe.bareRepository", "explicit"),
    ("submodule.recurse", "false"),
    ("status.submoduleSummary", "false"),
    ("diff.ignoreSubmodules", "dirty"),
    ("diff.submodule", "short"),
    ("log.showSignature", "false"),
    ("log.date", "default"),
    ("commit.verbose", "false"),
    ("user.useConfigOnly", "true"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("color.ui", "false"),
)
NO_PROGRAMS: tuple[Setting, ...] = (
    ("core.hooksPath", "/dev/null"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("gpg.program", "false"),
    ("gpg.openpgp.program", "false"),
    ("gpg.x509.program", "false"),
    ("gpg.ssh.program", "false"),
    ("gpg.ssh.defaultKeyCommand", "false"),
)
# Seen in a listing it shows that this git takes settings from its environment.
PROOF = ("command", "submodule.recurse", "false")
# The built-in merge of texts, as a driver: what a driver of the repository would have merged gets marks of conflict.
_PLAIN_MERGE = "git merge-file %A %O %B"
_FILTER = re.compile(r"filter\.(.*)\.(clean|smudge|process|required)", re.DOTALL)
_DRIVER = re.compile(r"merge\.(.*)\.driver", re.DOTALL)
_HOOK = re.compile(r"hook\.(.*)\.[a-z]+", re.DOTALL)
_RUNS = ("clean", "smudge", "process")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a configuration; `own`: it comes with the repository."""

    scope: str
    key: str
    value: str

    @property
    def own(self) -> bool:
        return self.scope in ("local", "worktree")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a configuration says about programs: the settings against them, the filters that will be missing, and
    whether it holds includes that depend on a condition, so that all this may change under way."""

    settings: tuple[Setting, ...] = ()
    filters: tuple[str, ...] = ()
    conditional: bool = False

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.settings + other.settings, self.filters + other.filters, self.conditional or other.conditional
        )


def read_entries(parts: Sequence[str]) -> list[Entry]:
    """The entries of `git config --list -z --show-scope`, whose scopes and lines take turns."""
    entries: list[Entry] = []
    for scope, line in zip(parts[::2], parts[1::2], strict=False):
        key, _, value = line.partition("\n")
        entries.append(Entry(scope, key, value))
    return entries


def find_programs(entries: Iterable[Entry]) -> Findings:
    """What to set so that no filter, merge driver or hook of the repository's configuration runs."""
    found = list(entries)
    own = [entry for entry in found if entry.own]
    filters = sorted({match[1] for entry in own if (match := _FILTER.fullmatch(entry.key))})
    missing = [name for name in filters if _differs(name, found)]
    settings = [setting for name in missing for setting in _restore_filter(name, found)]
    for entry in own:
        if (driver := _DRIVER.fullmatch(entry.key)) is not None:
            settings.append((f"merge.{driver[1]}.driver", _PLAIN_MERGE))
        if (hook := _HOOK.fullmatch(entry.key)) is not None:
            settings += [(f"hook.{hook[1]}.event", ""), (f"hook.{hook[1]}.enabled", "false")]
    conditional = any(entry.key.startswith("includeif.") for entry in own)
    return Findings(tuple(dict.fromkeys(settings)), tuple(missing), conditional)


def _differs(name: str, entries: list[Entry]) -> bool:
    """Whether the repository gives a filter programs that the user did not."""
    own, users = _effective(name, entries, own=True), _effective(name, entries, own=False)
    return any(own.get(part, "") not in ("", users.get(part, "")) for part in _RUNS)


def _restore_filter(name: str, entries: list[Entry]) -> Iterator[Setting]:
    users = _effective(name, entries, own=False)
    for part in _RUNS:
        yield f"filter.{name}.{part}", users.get(part, "")
    yield f"filter.{name}.required", users.get("required", "false")


def _effective(name: str, entries: list[Entry], *, own: bool) -> Mapping[str, str]:
    prefix = f"filter.{name}."
    return {
        entry.key.removeprefix(prefix): entry.value
        for entry in entries
        if entry.own == own and entry.scope != "command" and entry.key.startswith(prefix)
    }


def as_environment(settings: Iterable[Setting]) -> dict[str, str]:
    """The settings as git takes them from its environment: above every file, whatever their names hold, and passed
    on to the git commands that git starts by itself."""
    listed = list(settings)
    environment = {"GIT_CONFIG_COUNT": str(len(listed))}
    for index, (key, value) in enumerate(listed):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment
