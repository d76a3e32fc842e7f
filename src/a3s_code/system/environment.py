"""What a child process may know of our environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

SAFE_NAMES = frozenset(
    """
    PATH HOME USER LOGNAME SHELL TERM COLORTERM NO_COLOR CI TZ LANG LANGUAGE TMPDIR TMP TEMP HOSTNAME
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME
    VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV CONDA_EXE PYENV_ROOT PYENV_VERSION PYTHONPATH PYTHONUNBUFFERED
    NVM_DIR NVM_BIN VOLTA_HOME NODE_PATH PNPM_HOME BUN_INSTALL CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN
    GOPATH GOROOT GOCACHE GOMODCACHE JAVA_HOME GRADLE_USER_HOME MAVEN_HOME SDKMAN_DIR ANDROID_HOME
    RBENV_ROOT GEM_HOME DOTNET_ROOT HOMEBREW_PREFIX NIX_PATH NIX_PROFILES NIX_SSL_CERT_FILE LD_LIBRARY_PATH
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS
    """.split()  # noqa: SIM905  # a quoted list would be a page long
)
TEMPORARY = ("TMPDIR", "TMP", "TEMP")
CACHES = {"XDG_CACHE_HOME": ".cache", "npm_config_cache": ".npm", "GOMODCACHE": "go/pkg"}
# Tools that have a folder of their own, and the cache in it without which they cannot work.
TOOLS = {"CARGO_HOME": (".cargo", "registry"), "GRADLE_USER_HOME": (".gradle", "caches")}
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})


def child_environment(environ: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """The variables of `environ` that a child gets: a fixed list of harmless ones, `LC_*`, and the names in `extra`.

    Keys and tokens are in no list, nor is what makes a shell run a file (BASH_ENV) or lends a login (SSH_AUTH_SOCK). A
    proxy is passed on unless its address holds a password.
    """
    wanted = SAFE_NAMES.union(extra)
    return {name: value for name, value in environ.items() if name in wanted or _is_harmless(name, value)}


def _is_harmless(name: str, value: str) -> bool:
    return name.startswith("LC_") or (name.upper() in PROXIES and "@" not in value)


def confined_environment(environ: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """`environ` for a command that may not write everywhere: temporary files go to a folder of its own.

    So do the caches of build tools where their usual place is not there, for then they could not make it either.
    """
    moved: dict[str, str] = dict.fromkeys(TEMPORARY, str(temporary))
    home = Path(environ.get("HOME") or "/")
    for name, usual in CACHES.items():
        if name not in environ and not (home / usual).exists():
            moved[name] = str(temporary / usual.strip("."))
    for name, (usual, needed) in TOOLS.items():
        if not Path(environ.get(name) or home / usual, needed).exists():
            moved[name] = str(temporary / usual.strip("."))
    return {**environ, **moved}
