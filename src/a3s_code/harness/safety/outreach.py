"""Programs that leave the machine: those that use the network, and those that release something to others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from a3s_code.harness.safety.interpreters import find_module
from a3s_code.harness.safety.programs import PYTHONS, list_names, program
from a3s_code.harness.safety.words import Word

Phrases = tuple[tuple[str, ...], ...]

# With bounds, so that a long word costs no more than its length.
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s,]+|(?<![\w.-])[\w.-]{1,255}@[\w.-]{1,255}:[\w./~-]+"
)


def _phrases(entries: Mapping[str, str]) -> Mapping[str, Phrases]:
    """For each name the phrases that count, separated by commas; an empty one stands for every call."""
    return {
        name: tuple(tuple(phrase.split()) for phrase in phrases.split(","))
        for names, phrases in entries.items()
        for name in names.split()
    }


_RELEASES = _phrases(
    {
        "git": "push,send-email,subtree push,lfs push,svn dcommit",
        "hg jj": "push,git push",
        "npm yarn pnpm bun": "publish,unpublish,deprecate,dist-tag,npm publish,stage publish",
        "lerna changeset vsce ovsx": "publish",
        "semantic-release release-it np standard-version goreleaser": "",
        "twine": "upload",
        "poetry uv flit hatch pdm maturin": "publish,upload",
        "cargo": "publish,yank,release",
        "gem": "push,yank",
        "rake": "release",
        "mix": "hex.publish",
        "dotnet": "nuget push",
        "nuget": "push",
        "pod": "trunk push",
        "anaconda": "upload",
        "mvn mvnw": "deploy,release:perform,release:prepare",
        "gradle gradlew": "publish,publishPlugins,uploadArchives,publishToSonatype",
        "sbt": "publish,publishSigned,release",
        "docker podman nerdctl buildah": "push,image push,manifest push,compose push,plugin push,stack deploy",
        "skopeo crane oras": "copy,push,delete",
        "helm": "push,upgrade,install,uninstall,delete,rollback",
        "kubectl oc": "apply,create,delete,replace,patch,scale,rollout,set,edit,drain,cordon,uncordon,annotate,label,"
        "expose,run,autoscale,taint,new-app,start-build",
        "terraform tofu terragrunt": "apply,destroy,import,taint,run-all apply,run-all destroy,state rm,state mv",
        "pulumi": "up,update,destroy,import,refresh",
        "cdk cdktf": "deploy,destroy",
        "sam": "deploy,delete,sync",
        "serverless sls": "deploy,remove,rollback",
        "vercel now netlify": "deploy,promote,rollback,remove,rm,alias",
        "surge dpl cap": "",
        "fly flyctl": "deploy,launch,scale,secrets,apps destroy,machine update",
        "railway": "up,redeploy",
        "heroku": "container:push,container:release,releases:rollback,apps:destroy,ps:scale,config:set",
        "firebase": "deploy,hosting:channel:deploy",
        "wrangler": "deploy,publish,pages deploy,delete,rollback",
        "supabase": "db push,functions deploy",
        "prisma": "migrate deploy",
        "eb": "deploy,terminate",
        "cf": "push,delete",
        "argocd": "app sync,app delete,app create",
        "nomad": "run,job run,stop",
        "ansible-playbook ansible": "",
        "fastlane": "deliver,pilot,supply,release,deploy,upload_to_app_store,upload_to_play_store",
        "gh": "release create,release upload,release edit,release delete,pr merge,workflow run,repo delete,repo create",
        "glab": "release create,mr merge,release delete",
        "doctl": "apps create,apps create-deployment,apps update",
        "jf jfrog": "rt upload,rt u",
    }
)
# Their subcommands are many, and what changes something outside says so by its name.
_CLOUDS = frozenset({"aws", "gcloud", "az", "gsutil", "oci", "ibmcloud"})
_CLOUD_VERB = re.compile(
    r"(?:deploy|publish|submit|up|sync|cp|mv|rm|rb|mb|rsync|create|delete|update|put|terminate|start|stop|run|invoke|set|import)"
    r"(?:-[a-z0-9-]+)?"
)
_CLOUD_DEPTH = 4
# Options of these programs whose value is the next word, so that the verb comes after it.
_VALUED = list_names(
    """-n --namespace --context --kubeconfig --kube-context -H --host --config -l --log-level --prefix -w --workspace -C
    --cwd --dir --filter -F --manifest-path --color --project --directory --profile --region --account -R --repo -a
    --app -c -o --output -e --env --stack -s --token --cluster --user --registry --access-token -m --module -p --file"""
)
_NETWORKED = list_names(
    """curl wget ssh scp sftp rsync nc ncat netcat socat telnet ftp lftp aria2c http https xh ping dig nslookup host
    whois mosh rclone s3cmd youtube-dl yt-dlp npx bunx uvx pipx apt apt-get dnf yum brew apk pacman zypper snap flatpak
    gh glab aws gcloud az gsutil kubectl oc helm terraform tofu terragrunt pulumi ansible ansible-playbook vercel
    netlify fly flyctl heroku firebase wrangler serverless sls twine vagrant"""
)
_NETWORK_VERBS = _phrases(
    {
        "git": "fetch,pull,push,clone,ls-remote,remote update,remote show,remote prune,submodule update,submodule add,"
        "lfs pull,lfs push,lfs fetch,archive --remote",
        "pip": "install,download,index,search,wheel",
        "npm yarn pnpm bun": "install,i,ci,add,update,upgrade,publish,audit,outdated,view,exec,dlx,create,login",
        "uv": "pip,sync,add,lock,tool,run,publish,python",
        "poetry pdm hatch pipenv": "install,add,update,lock,publish,sync",
        "cargo": "install,fetch,update,publish,add,search,build,run,test,check",
        "gem": "install,update,fetch,push",
        "bundle composer conda mamba": "install,update,create,require",
        "go": "get,install,mod download,mod tidy,run,build,test",
        "docker podman nerdctl": "pull,push,login,build,run,compose pull,compose up,compose build,search",
        "deno": "run,install,add,cache",
        "hg": "pull,push,clone,incoming",
        "dotnet": "restore,add,nuget",
        "mvn gradle gradlew mvnw": "",
    }
)


@dataclass(frozen=True, slots=True)
class Release:
    """Something that is given to others: `verb` is the program and the words up to the one that says so, `start` the
    same as the command has it, options and all. `sure` is False where the verb is computed."""

    verb: str
    start: str
    sure: bool = True


def find_release(words: Sequence[Word]) -> Release | None:
    """What the command releases, if anything."""
    name, words = _skip_module(words)
    if name in _CLOUDS:
        return _find_cloud(name, words)
    phrases = _RELEASES.get(name)
    if phrases is None:
        return None
    if () in phrases:
        return Release(name, words[0].text)
    operands = _operands(words, 3)
    texts = tuple(words[at].text for at in operands)
    for phrase in phrases:
        if texts[: len(phrase)] == phrase:
            last = operands[len(phrase) - 1]
            return Release(" ".join((name, *phrase)), " ".join(word.text for word in words[: last + 1]))
    if name in ("vercel", "now") and (not texts or any(word.text == "--prod" for word in words)):
        return Release(name, words[0].text)
    if name in ("docker", "podman") and any(word.text in ("--push", "--output=type=registry") for word in words):
        return Release(f"{name} --push", " ".join(word.text for word in words))
    if operands and not words[operands[0]].fixed:
        return Release(name, words[0].text, sure=False)
    return None


def find_contacts(words: Sequence[Word]) -> list[str]:
    """The URLs that a program which uses the network is given, or else its name; empty for other programs."""
    name, words = _skip_module(words)
    if name not in _NETWORKED:
        phrases = _NETWORK_VERBS.get(name, ())
        texts = tuple(words[at].text for at in _operands(words, 2))
        if not any(texts[: len(phrase)] == phrase for phrase in phrases) and find_release(words) is None:
            return []
    urls = [found[0] for word in words[1:] if word.fixed for found in _URL.finditer(word.text)]
    return urls or [name]


def _skip_module(words: Sequence[Word]) -> tuple[str, Sequence[Word]]:
    """The program, where `python -m twine` stands for `twine`."""
    name = program(words[0])
    name = "pip" if re.fullmatch(r"pip[0-9.]+", name) else name
    if name in PYTHONS and (at := find_module(words)) > 0:
        return re.sub(r"^-[A-Za-z?]*?m", "", words[at].text), words[at:]
    return name, words


def _operands(words: Sequence[Word], count: int) -> list[int]:
    """Where the first words stand that are no options and no values of such."""
    found: list[int] = []
    index = 1
    while index < len(words) and len(found) < count:
        text = words[index].text
        if words[index].fixed and text.startswith(("-", "+")):
            index += 1 if "=" in text or text not in _VALUED else 2
            continue
        found.append(index)
        index += 1
    return found


def _find_cloud(name: str, words: Sequence[Word]) -> Release | None:
    for at in islice(_operands(words, _CLOUD_DEPTH), _CLOUD_DEPTH):
        if not words[at].fixed or _CLOUD_VERB.fullmatch(words[at].text):
            verbs = [words[index].text for index in _operands(words, _CLOUD_DEPTH) if index <= at]
            start = " ".join(word.text for word in words[: at + 1])
            return Release(" ".join((name, *verbs)), start, words[at].fixed)
    return None
