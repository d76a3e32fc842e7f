"""Files opened without following links, written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from a3s_code.system.files import (
    ABSENT,
    Entry,
    FileChanged,
    FileTooLarge,
    NotRegular,
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
