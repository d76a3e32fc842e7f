"""Files opened without following links, written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from a3s_code.system.files import (
    ABSENT,
    Entry,
    FileChanged,
    FileTooLarge,
    NotRegular,
    Staged,
    Written,
    delete_file,
    digest,
    list_folder,
    open_regular,
    read_bytes,
    write_atomic,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_a_new_file_gets_its_content_and_its_folders(folder: Path) -> None:
    write_atomic(folder / "a" / "b" / "c.txt", b"content", expected=ABSENT)
    assert (folder / "a" / "b" / "c.txt").read_bytes() == b"content"
    assert os.listdir(folder / "a" / "b") == ["c.txt"]


def test_a_new_file_gets_the_mode_the_umask_leaves(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(folder / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o755, 0o600, 0o644])
def test_an_existing_file_keeps_its_mode(folder: Path, mode: int) -> None:
    file = folder / "script"
    file.write_bytes(b"old")
    file.chmod(mode)
    write_atomic(file, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == mode
    write_atomic(file, b"newer", mode=0o700)
    assert stat.S_IMODE(file.stat().st_mode) == 0o700


def test_a_file_that_changed_is_not_replaced(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"theirs")
    with pytest.raises(FileChanged):
        write_atomic(file, b"ours", expected=digest(b"seen"))
    with pytest.raises(FileChanged):
        write_atomic(file, b"ours", expected=ABSENT)
    with pytest.raises(FileChanged):
        write_atomic(folder / "gone", b"ours", expected=digest(b"seen"))
    assert file.read_bytes() == b"theirs"
    assert os.listdir(folder) == ["a"]
    write_atomic(file, b"ours", expected=digest(b"theirs"))
    assert file.read_bytes() == b"ours"


def test_a_reader_never_sees_half_a_file(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"old" * 1000)
    with file.open("rb") as reader:
        write_atomic(file, b"new" * 1000)
        assert reader.read() == b"old" * 1000
    assert file.read_bytes() == b"new" * 1000


def test_a_failed_write_leaves_the_old_file_and_nothing_else(folder: Path) -> None:
    full = folder / ("x" * 255)
    full.write_bytes(b"old")
    with pytest.raises(OSError, match="too long"):
        write_atomic(folder / ("x" * 300), b"new")
    assert [name for name in os.listdir(folder) if name.startswith(".a3s")] == []
    assert full.read_bytes() == b"old"


def test_no_component_may_be_a_link(folder: Path) -> None:
    (folder / "outside").mkdir()
    (folder / "link").symlink_to(folder / "outside")
    (folder / "file").symlink_to(folder / "outside" / "x")
    with pytest.raises(NotADirectoryError):
        write_atomic(folder / "link" / "x", b"")
    with pytest.raises(NotRegular):
        write_atomic(folder / "file", b"")
    with pytest.raises(NotRegular), open_regular(folder / "file"):
        pass
    with pytest.raises(OSError, match=r"directory|links"):
        list_folder(folder / "link")
    assert os.listdir(folder / "outside") == []


def test_what_is_no_regular_file_is_refused_unopened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "socket", 0o600 | stat.S_IFSOCK)
    for name, kind in (("fifo", "FIFO"), ("socket", "socket"), (".", "folder")):
        with pytest.raises(NotRegular) as caught, open_regular(folder / name):
            pass
        assert caught.value.kind == kind
    with pytest.raises(NotRegular) as caught:
        write_atomic(Path("/dev/null"), b"x")
    assert caught.value.kind == "device"


def test_a_read_is_bounded(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"x" * 11)
    assert read_bytes(file, 11) == b"x" * 11
    with pytest.raises(FileTooLarge) as caught:
        read_bytes(file, 10)
    assert (caught.value.size, caught.value.limit) == (11, 10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only files")
def test_a_read_only_file_is_not_replaced(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"old")
    file.chmod(0o444)
    with pytest.raises(PermissionError):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_an_existing_file_keeps_its_owner(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"old")
    os.chown(file, 1234, 1234)
    write_atomic(file, b"new")
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 1234)


def test_a_folder_is_listed_with_kinds_and_targets(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / ".hidden").write_text("")
    (folder / "link").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")
    assert sorted(list_folder(folder), key=lambda entry: entry.name) == [
        Entry(".hidden", "file"),
        Entry("fifo", "other"),
        Entry("link", "link", "nowhere"),
        Entry("sub", "folder"),
    ]
    with pytest.raises(FileNotFoundError) as caught:
        list_folder(folder / "missing")
    assert caught.value.errno == errno.ENOENT


def test_what_is_staged_is_not_seen_before_its_commit(folder: Path) -> None:
    with Staged(folder / "a" / "new", b"new", expected=ABSENT) as staged:
        assert not (folder / "a" / "new").exists()
        assert staged.commit() == Written(0, (folder / "a",))
    assert (folder / "a" / "new").read_bytes() == b"new"


def test_what_is_staged_and_not_committed_is_gone_with_its_folders(folder: Path) -> None:
    with Staged(folder / "a" / "b" / "new", b"new"):
        assert (folder / "a" / "b").is_dir()
    assert os.listdir(folder) == []


def test_a_failed_comparison_leaves_no_folder_behind(folder: Path) -> None:
    with pytest.raises(FileChanged):
        write_atomic(folder / "a" / "b", b"new", expected=digest(b"seen"))
    assert os.listdir(folder) == []


def test_a_file_that_was_made_meanwhile_is_not_replaced(folder: Path) -> None:
    with Staged(folder / "new", b"ours", expected=ABSENT) as staged:
        (folder / "new").write_bytes(b"theirs")
        with pytest.raises(FileChanged):
            staged.commit()
    assert (folder / "new").read_bytes() == b"theirs"
    assert os.listdir(folder) == ["new"]


@pytest.mark.parametrize("now", ["other", "gone", "link", "folder"])
def test_what_changed_while_it_was_staged_is_not_replaced(folder: Path, now: str) -> None:
    file = folder / "a"
    file.write_bytes(b"seen")
    with Staged(file, b"ours", expected=digest(b"seen")) as staged:
        file.unlink()
        if now == "other":
            file.write_bytes(b"theirs")
        elif now == "link":
            file.symlink_to("b")
        elif now == "folder":
            file.mkdir()
        before = os.listdir(folder)
        with pytest.raises((FileChanged, NotRegular)):
            staged.commit()
    assert os.listdir(folder) == before


def test_a_folder_that_was_moved_away_is_not_written_into(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "outside").mkdir()
    with Staged(folder / "a" / "file", b"ours", expected=ABSENT) as staged:
        (folder / "a").rename(folder / "outside" / "a")
        (folder / "a").symlink_to(folder / "outside" / "a")
        with pytest.raises(FileChanged, match="moved"):
            staged.commit()
    assert os.listdir(folder / "outside" / "a") == []


def test_a_mode_that_changed_while_it_was_staged_is_kept(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"seen")
    with Staged(file, b"ours", expected=digest(b"seen")) as staged:
        file.chmod(0o700)
        staged.commit()
    assert stat.S_IMODE(file.stat().st_mode) == 0o700


def test_a_private_file_is_private_all_along(folder: Path) -> None:
    file = folder / "key"
    file.write_bytes(b"old")
    file.chmod(0o600)
    before = os.umask(0)
    try:
        with Staged(file, b"new") as staged:
            shown = [os.fstat(int(name)).st_mode for name in open_files(folder)]
            staged.commit()
    finally:
        os.umask(before)
    assert {stat.S_IMODE(mode) for mode in shown} == {0o600}


def open_files(folder: Path) -> list[str]:
    """The descriptors of this process that are regular files of `folder`."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target, mode = os.readlink(f"/proc/self/fd/{name}"), os.stat(f"/proc/self/fd/{name}").st_mode
        except FileNotFoundError:
            continue
        if target.startswith(f"{folder}/") and stat.S_ISREG(mode):
            found.append(name)
    return found


def test_other_names_of_a_file_keep_the_old_content(folder: Path) -> None:
    (folder / "a").write_bytes(b"old")
    os.link(folder / "a", folder / "b")
    assert write_atomic(folder / "a", b"new").links == 1
    assert (folder / "b").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_an_existing_file_keeps_its_own_attributes(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"old")
    try:
        os.setxattr(file, "user.origin", b"here")
    except OSError:
        pytest.skip("the file system keeps no attributes")
    write_atomic(file, b"new")
    assert os.getxattr(file, "user.origin") == b"here"


def test_a_file_is_deleted_only_as_it_was_seen(folder: Path) -> None:
    file = folder / "a"
    file.write_bytes(b"theirs")
    with pytest.raises(FileChanged):
        delete_file(file, expected=digest(b"seen"))
    delete_file(file, expected=digest(b"theirs"))
    with pytest.raises(FileNotFoundError):
        delete_file(file, expected=digest(b"theirs"))
    file.symlink_to("b")
    with pytest.raises(NotRegular):
        delete_file(file, expected=digest(b""))
    with pytest.raises(NotRegular):
        delete_file(folder, expected=digest(b""))


def test_a_lock_is_waited_for(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    threading.Timer(0.2, os.close, (held,)).start()
    started = time.monotonic()
    write_atomic(folder / "a", b"x")
    assert time.monotonic() - started > 0.15


FORKING = """
import os, sys, time
from pathlib import Path
from a3s_code.system.files import open_folder
from a3s_code.system.folderlock import locked
with open_folder(Path(sys.argv[1])) as folder:
    with locked(folder):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    started = time.monotonic()
    with locked(folder):
        print(time.monotonic() - started)
os.kill(child, 9)
"""


def test_a_fork_does_not_keep_the_lock(folder: Path) -> None:
    """A child forked by another thread meanwhile has the descriptor of the lock, too."""
    done = subprocess.run([sys.executable, "-c", FORKING, folder], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2


NOBODY = """
import os, sys
from pathlib import Path
from a3s_code.system.files import read_bytes, write_atomic
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
folder = Path(sys.argv[1])
for name, action in (
    ("read-only file", lambda: write_atomic(folder / "open" / "file", b"new")),
    ("read-only folder", lambda: write_atomic(folder / "shut" / "file", b"new")),
    ("new in it", lambda: write_atomic(folder / "shut" / "new", b"new")),
    ("unreadable", lambda: read_bytes(folder / "open" / "secret", 10)),
    ("unlisted folder", lambda: write_atomic(folder / "blind" / "new", b"new")),
):
    try:
        action()
    except OSError as error:
        print(f"{name}: {error.strerror}")
    else:
        print(f"{name}: done")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_may_not_do_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        folder.chmod(0o755)
        for name, mode in (("open", 0o777), ("shut", 0o755), ("blind", 0o733)):
            (folder / name).mkdir()
            (folder / name / "file").write_bytes(b"old")
            (folder / name).chmod(mode)
        (folder / "shut" / "file").chmod(0o666)
        (folder / "open" / "secret").write_bytes(b"secret")
        (folder / "open" / "secret").chmod(0o600)
        done = subprocess.run([sys.executable, "-c", NOBODY, folder], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "read-only file: the file is read-only",
            "read-only folder: Permission denied",
            "new in it: Permission denied",
            "unreadable: Permission denied",
            "unlisted folder: done",
        ]
        assert (folder / "open" / "file").read_bytes() == (folder / "shut" / "file").read_bytes() == b"old"
        assert sorted(os.listdir(folder / "shut")) == ["file"]


NAMED = """
import os, sys
from pathlib import Path
del os.O_TMPFILE
from a3s_code.system.files import ABSENT, FileChanged, Staged, digest, write_atomic
folder = Path(sys.argv[1])
write_atomic(folder / "a", b"old", expected=ABSENT)
write_atomic(folder / "a", b"new", expected=digest(b"old"))
for name, expected in (("a", ABSENT), ("a", digest(b"old")), ("b", digest(b"x"))):
    try:
        write_atomic(folder / name, b"x", expected=expected)
    except FileChanged:
        print("refused")
with Staged(folder / "b", b"b", expected=ABSENT) as staged:
    print(len(os.listdir(folder)))
    (folder / "b").write_bytes(b"theirs")
    try:
        staged.commit()
    except FileChanged:
        print("refused")
print(sorted(os.listdir(folder)), (folder / "a").read_bytes(), (folder / "b").read_bytes())
"""


def test_the_same_holds_where_every_file_needs_a_name(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NAMED, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:6] == ["refused"] * 3 + ["2", "refused", "['a', 'b'] b'new' b'theirs'"]
