"""Where a sandboxed command can change files, by each engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from a3s_code.kernel.contracts import Effect
from a3s_code.system import bubblewrap, landlock, process, scratch
from a3s_code.system.child import Command
from a3s_code.system.denial import find_denied, needs_elevation
from a3s_code.system.environment import child_environment, confined_environment
from a3s_code.system.sandbox import Engine, Sandbox, confine, probe

ENGINES = ("landlock", "bubblewrap")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@dataclass
class Place:
    """A workspace, a folder for temporary files, and a folder beside them that is nobody's."""

    engine: Engine
    workspace: Path
    temporary: Path
    outside: Path

    def sandbox(self, *effects: Effect, workspace: Path | None = None) -> Sandbox:
        environment = child_environment(os.environ)
        return confine(self.engine, workspace or self.workspace, self.temporary, effects, environment)

    async def run(self, script: str, *effects: Effect, workspace: Path | None = None) -> process.Completed:
        folder = workspace or self.workspace
        environment = confined_environment(child_environment(os.environ), self.temporary)
        sandbox = self.sandbox(*effects, workspace=folder)
        return await process.run(Command(("bash", "-c", script), folder, environment, sandbox=sandbox))


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "landlock" and not landlock.version():
        pytest.skip("this kernel has no Landlock")
    if request.param == "bubblewrap" and bubblewrap.find_bubblewrap() is None:
        pytest.skip("there is no bubblewrap that works")
    folders = [tmp_path.resolve() / name for name in ("workspace", "temporary", "outside")]
    for folder in folders:
        folder.mkdir()
    return Place(request.param, *folders)


async def test_the_workspace_and_the_temporary_folder_are_open(place: Place) -> None:
    script = """
        set -e
        echo 1 > a; mkdir -p b/c; mv a b/c; ln b/c/a b/hard; ln -s a b/soft; mkfifo b/pipe
        truncate -s 0 b/hard; rm -r b
        echo 2 > $TMPDIR/x; mv $TMPDIR/x .; mktemp
        echo 3 > /dev/null; echo 4 > /dev/shm/a3s-test.$$; rm /dev/shm/a3s-test.$$
        echo err > /dev/stderr; echo out | tee /dev/stdout > /dev/null; cat <(echo substituted)
    """
    done = await place.run(script)
    assert done.exit_code == 0, done.output.text
    assert f"{place.temporary}/tmp." in done.output.text
    assert (place.workspace / "x").read_text() == "2\n"


CHANGES = {
    "create": "echo x > $OUT/new",
    "append": "echo x >> $OUT/file",
    "truncate": "truncate -s 0 $OUT/file",
    "open and truncate": ": > $OUT/file",
    "remove": "rm -f $OUT/file",
    "remove a folder": "rmdir $OUT/folder",
    "make a folder": "mkdir $OUT/other",
    "link": "ln -s x $OUT/link",
    "move in": "echo y > mine; mv mine $OUT/mine",
    "move out": "mv $OUT/file .",
    "rename": "mv $OUT/file $OUT/renamed",
    "through a link": "ln -s $OUT here; echo x > here/file",
    "through a descriptor's name": "exec 3< $OUT/file; echo x > /proc/self/fd/3",
    "by a hard link": "ln $OUT/file hard && echo x > hard",
    "pipe": "mkfifo $OUT/pipe",
    "deep below": "mkdir -p $OUT/folder/a/b && echo x > $OUT/folder/a/b/c",
    "with another program": "cp /etc/hostname $OUT/file; dd if=/dev/zero of=$OUT/file count=1",
    "by a child": "setsid bash -c 'echo x > $OUT/new' & wait",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_outside_can_be_changed(place: Place, change: str) -> None:
    (place.outside / "file").write_text("content")
    (place.outside / "folder").mkdir()
    before = snapshot(place.outside)
    done = await place.run(f"export OUT={place.outside}\n{CHANGES[change]}")
    assert done.exit_code != 0 or done.output.text
    assert snapshot(place.outside) == before


def snapshot(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() if path.is_file() else "" for path in sorted(folder.rglob("*"))}


async def test_everything_can_be_read(place: Place) -> None:
    (place.outside / "file").write_text("content")
    assert (await place.run(f"cat {place.outside}/file")).output.text == "content"


async def test_what_the_decision_allowed_can_be_changed_and_nothing_beside_it(place: Place) -> None:
    for name in ("file", "beside"):
        (place.outside / name).write_text("content")
    file = str(place.outside / "file")
    done = await place.run(f"echo new > {file}; echo new > {place.outside}/beside", Effect("write", file))
    assert done.exit_code == 1
    assert (place.outside / "file").read_text() == "new\n"
    assert (place.outside / "beside").read_text() == "content"


async def test_a_file_that_is_to_be_made_can_be_made(place: Place) -> None:
    for name in ("new", "deep/er/new"):
        target = place.outside / name
        done = await place.run(f"mkdir -p {target.parent}; echo new > {target}", Effect("write", str(target)))
        assert (done.exit_code, done.output.text) == (0, "")
        assert target.read_text() == "new\n"


async def test_what_is_to_be_deleted_can_be_deleted(place: Place) -> None:
    (place.outside / "file").write_text("content")
    (place.outside / "tree/branch").mkdir(parents=True)
    (place.outside / "tree/branch/leaf").write_text("green")
    effects = [Effect("delete", str(place.outside / name)) for name in ("file", "tree")]
    done = await place.run(f"rm {place.outside}/file; rm -r {place.outside}/tree", *effects)
    assert (done.exit_code, done.output.text) == (0, "")
    assert snapshot(place.outside) == {}


async def test_reads_and_other_effects_open_nothing(place: Place) -> None:
    (place.outside / "file").write_text("content")
    effects = [Effect(kind, str(place.outside)) for kind in ("read", "exec", "net", "unknown")]
    before = [Effect("write", "relative"), Effect("delete", "")]
    await place.run(f"echo x > {place.outside}/file; echo x > {place.outside}/new", *effects, *before)
    assert snapshot(place.outside) == {str(place.outside / "file"): "content"}


@needs_git
async def test_the_repository_of_a_folder_or_worktree_takes_commits(place: Place) -> None:
    git = "git -c user.name=a -c user.email=a@example.org -c commit.gpgsign=false"
    setup = (
        f"git init -q . && mkdir sub && touch sub/a && git add . && {git} commit -qm 1 && git worktree add -q ../tree"
    )
    subprocess.run(["bash", "-c", setup], cwd=place.outside, check=True)
    for workspace in (place.outside / "sub", place.outside.parent / "tree"):
        done = await place.run(f"touch b && git add b && {git} commit -qm two", workspace=workspace)
        assert (done.exit_code, done.output.text) == (0, "")
    done = await place.run("touch ../top", workspace=place.outside / "sub")
    assert done.exit_code == 1


def test_a_forged_pointer_to_a_repository_opens_nothing(place: Place) -> None:
    victim = place.outside / "repository"
    (victim / "worktrees/x").mkdir(parents=True)
    (victim / "HEAD").write_text("ref: refs/heads/main\n")
    (victim / "worktrees/x/gitdir").write_text("/somewhere/else/.git\n")
    for target in (victim, victim / "worktrees/x", place.outside, place.outside / "missing"):
        (place.workspace / ".git").write_text(f"gitdir: {target}\n")
        assert not place.sandbox().allows(victim / "config")


async def test_what_a_command_puts_in_place_of_the_pointer_does_not_hold_up_the_next(place: Place) -> None:
    pointer, forged = place.workspace / ".git", place.temporary / "worktrees/x"
    forged.mkdir(parents=True)
    (place.temporary / "HEAD").touch()
    os.mkfifo(forged / "gitdir")
    pointer.write_text(f"gitdir: {forged}\n")
    waiting = asyncio.create_task(asyncio.to_thread(place.sandbox))
    done, _ = await asyncio.wait([waiting], timeout=5)
    if not done:
        (forged / "gitdir").write_text("")  # lets the thread go
    assert done
    with pointer.open("wb") as file:
        file.truncate(1 << 40)
    assert not place.sandbox().allows(place.outside)


@needs_git
async def test_the_repository_of_a_submodule_takes_commits(place: Place) -> None:
    git = "git -c user.name=a -c user.email=a@example.org -c commit.gpgsign=false -c protocol.file.allow=always"
    setup = f"""
        set -e
        git init -q lib && cd lib && touch a && git add . && {git} commit -qm 1 && cd ..
        git init -q top && cd top && {git} submodule --quiet add ../lib one && {git} submodule --quiet add ../lib two
    """
    subprocess.run(["bash", "-c", setup], cwd=place.outside, check=True)
    workspace = place.outside / "top/one"
    done = await place.run(f"touch b && git add b && {git} commit -qm two", workspace=workspace)
    assert (done.exit_code, done.output.text) == (0, "")
    assert not place.sandbox(workspace=workspace).allows(place.outside / "top/.git/config")
    (workspace / ".git").write_text("gitdir: ../.git/modules/two\n")
    assert not place.sandbox(workspace=workspace).allows(place.outside / "top/.git/modules/two/config")


async def test_what_became_a_link_since_it_was_judged_is_not_opened(tmp_path: Path) -> None:
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")
    real = tmp_path.resolve()
    (real / "victim/folder").mkdir(parents=True)
    (real / "way").symlink_to(real / "victim")
    places = (real / "way", real / "way/folder", real / "way/folder/file")
    (real / "victim/folder/file").write_text("content")
    confined = Sandbox("landlock", tuple(landlock.Grant(path) for path in places))
    script = "echo x > victim/folder/file; echo x > victim/new; echo x > victim/folder/new; echo done"
    done = await process.run(Command(("bash", "-c", script), real, {"PATH": os.environ["PATH"]}, sandbox=confined))
    assert done.output.text.endswith("done\n")
    assert snapshot(real / "victim") == {
        str(real / "victim/folder"): "",
        str(real / "victim/folder/file"): "content",
    }


async def test_caches_of_a_tool_with_a_folder_elsewhere_are_open(place: Place) -> None:
    for name in ("cargo/registry", "cargo/bin", "home/.cargo/registry"):
        (place.outside / name).mkdir(parents=True)
    environment = {"HOME": str(place.outside / "home"), "CARGO_HOME": str(place.outside / "cargo")}
    sandbox = confine(place.engine, place.workspace, place.temporary, (), environment)
    assert sandbox.allows(place.outside / "cargo/registry/x")
    assert not sandbox.allows(place.outside / "cargo/bin/x")
    assert not sandbox.allows(place.outside / "home/.cargo/registry/x")


async def test_caches_that_are_there_are_open_and_the_home_around_them_is_not(place: Place) -> None:
    home = place.outside
    (home / ".cache/pip").mkdir(parents=True)
    sandbox = confine(place.engine, place.workspace, place.temporary, (), {"HOME": str(home)})
    assert sandbox.allows(home / ".cache/pip/wheel")
    assert not sandbox.allows(home / ".npm/x")
    assert not sandbox.allows(home / ".bashrc")


async def test_a_sandboxed_command_may_leave_something_running(place: Place) -> None:
    sandbox = place.sandbox()
    command = Command(
        ("bash", "-c", "sleep 300 & echo $!"), place.workspace, dict(os.environ), sandbox=sandbox, owner="me"
    )
    pid = int((await process.run(command)).output.text)
    assert Path(f"/proc/{pid}").exists()
    done = await place.run(f"kill {pid} && echo ended")
    assert done.output.text == "ended\n"
    process.end_all("me")


async def test_a_missing_folder_is_an_error(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        await place.run("true", workspace=place.outside / "missing")


def test_a_denial_is_told_only_where_the_sandbox_made_it(place: Place) -> None:
    sandbox = place.sandbox()
    (place.outside / "file").write_text("")
    told = {
        f"bash: line 1: {place.outside}/new: Permission denied": place.outside / "new",
        f"touch: cannot touch '{place.outside}/a b': Permission denied": place.outside / "a b",
        f"mkdir: cannot create directory \u2018{place.outside}/x\u2019: Read-only file system": place.outside / "x",
        f"PermissionError: [Errno 13] Permission denied: '{place.outside}/file'": place.outside / "file",
        f"Error: EACCES: permission denied, mkdir '{place.outside}/node_modules'": place.outside / "node_modules",
        "cp: cannot create regular file '../outside/y': Permission denied": place.outside / "y",
    }
    for line, where in told.items():
        assert find_denied(f"before\n{line}\nafter", "x", sandbox, place.workspace) == where
    for line in (
        f"bash: {place.workspace}/script.sh: Permission denied",
        "bash: line 1: ./script.sh: Permission denied",
        f"opened {place.outside}/new",
        "git@github.com: Permission denied (publickey).",
        "cat: /proc/1/mem: Permission denied" if os.geteuid() else "nothing",
    ):
        assert find_denied(line, "x", sandbox, place.workspace) is None
    moved = "touch: cannot touch 'new': Permission denied"
    assert find_denied(moved, "touch new", sandbox, place.workspace) is None
    assert find_denied(moved, "cd ../outside && touch new", sandbox, place.workspace) == place.outside / "new"


def test_looking_for_a_denial_takes_little_time_whatever_is_printed(place: Place) -> None:
    output = "Permission denied " + " ".join(f"'{number}'" for number in range(1000))
    started = time.monotonic()
    assert find_denied(f"{output}\n" * 2, "cd x; " * 1000, place.sandbox(), place.workspace) is None
    assert time.monotonic() - started < 2


def test_a_program_that_needs_another_user_is_recognized() -> None:
    assert needs_elevation('sudo: The "no new privileges" flag is set, which prevents sudo from running as root.')
    assert not needs_elevation("sudo: command not found")


def test_the_engine_is_found_once_and_named() -> None:
    support = probe()
    assert support is probe()
    assert support.detail
    if sys.platform == "linux" and landlock.version():
        assert support.engine == "landlock"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has an engine to be without")
def test_without_a_launcher_there_is_no_engine() -> None:
    script = "import sys; sys.frozen = True; from a3s_code.system.sandbox import probe; print(probe().engine)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_folder_for_temporary_files_lasts_until_its_owner_ends() -> None:
    mine, yours = scratch.folder("me"), scratch.folder("you")
    assert mine != yours
    assert scratch.folder("me") == mine
    assert mine.stat().st_mode & 0o777 == 0o700
    (mine / "kept/module").mkdir(parents=True)
    (mine / "kept/module/file").write_text("x")
    (mine / "kept/module").chmod(0o500)
    process.end_all("me")
    assert not mine.exists()
    assert yours.is_dir()
    scratch.remove()
    assert not yours.exists()


def test_temporary_files_are_removed_however_deep_they_are() -> None:
    folder = scratch.folder("deep")
    script = "import os\nfor _ in range(2000): os.mkdir('d'); os.chdir('d')\nopen('x', 'w').close()\nos.chmod('.', 0)"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    scratch.remove("deep")
    left = folder.exists()
    if left:
        subprocess.run(["rm", "-rf", folder], check=True)
    assert not left
