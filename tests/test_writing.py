"""Files are written as a whole or not at all, where it was asked, and over nothing else."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from nineline import Network, Trainer, writing
from nineline.tables import write_table
from nineline.tables.sinks import TableSink
from nineline.writing import check_writable, write_bytes

posix = pytest.mark.skipif(os.name != "posix", reason="files of that kind are POSIX's")


def save_network(path):
    Network(2, 1, rng=0).save(path)


def save_trainer(path):
    Trainer(Network(2, 1, rng=0)).save(path)


def save_predictions(path):
    write_table(pl.DataFrame({"a": [1, 2]}), path.with_name(path.name + ".csv") if not path.suffix else path)


def save_pieces(path):
    with TableSink(path, {"a": pl.Int64}) as sink:
        sink.write(pl.DataFrame({"a": [1, 2]}))


WAYS = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "network": save_network,
    "trainer": save_trainer,
    "table": save_predictions,
    "table in pieces": save_pieces,
    "C": lambda path: Network(2, 1, rng=0).to_c("model").write(path.parent, path.stem),
}
EVERY_WAY = pytest.mark.parametrize("write", WAYS.values(), ids=WAYS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.c"  # which is the name that C is written to


@pytest.fixture(autouse=True)
def any_ending(monkeypatch):
    """A table is written to any name here, so that all ways can be asked for the same one."""
    for module in ("nineline.tables.files", "nineline.tables.sinks"):
        monkeypatch.setattr(f"{module}.check_ending", lambda path: None)
        monkeypatch.setattr(f"{module}.endings_of", lambda path: (".csv", ""))


@posix
@EVERY_WAY
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "socket"])
def test_what_is_no_file_stays_what_it_is(kind, write, path, tmp_path):
    place = tmp_path / "place" if kind.startswith("link") else path
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(place))
    else:
        os.mkfifo(place)
    if place != path:
        path.symlink_to(place)
    before = place.lstat().st_mode
    with pytest.raises(OSError, match=f"is a {kind.split()[-1]}, which a file would replace; name a file"):
        write(path)
    with pytest.raises(OSError, match="which a file would replace"):
        check_writable(path)
    assert place.lstat().st_mode == before


@posix
def test_a_device_stays_a_device():
    with pytest.raises(OSError, match="/dev/null is a device, which a file would replace"):
        check_writable("/dev/null")
    with pytest.raises(OSError, match="/dev/null is a device, which a file would replace"):
        write_bytes("/dev/null", b"")
    assert Path("/dev/null").is_char_device()


@posix
@EVERY_WAY
def test_a_link_is_followed(write, path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "elsewhere" / "real.c"
    path.symlink_to("elsewhere/real.c")
    for old in (None, b"old"):  # one that leads nowhere yet, too
        if old is not None:
            place.write_bytes(old)
        write(path)
        assert path.is_symlink()
        assert place.read_bytes() != b"old"


@posix
@EVERY_WAY
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755, 0o200])
def test_a_file_that_is_replaced_keeps_its_mode(mode, write, path):
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
@EVERY_WAY
def test_a_file_that_is_read_only_is_not_written(write, path):
    """For root neither, whom the system would let."""
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="exists and is read-only; write elsewhere, or make it writable"):
        write(path)
    with pytest.raises(PermissionError, match="read-only"):
        check_writable(path)
    assert path.read_bytes() == b"old"


@posix
def test_a_circle_of_links_is_no_place(path):
    path.symlink_to(path)
    with pytest.raises(OSError, match=r"symbolic links|Too many levels"):
        write_bytes(path, b"new")


def test_what_is_read_is_not_written(path, tmp_path):
    path.write_bytes(b"data")
    with pytest.raises(ValueError, match=re.escape(f"out is {path}, which is read and would be overwritten")):
        check_writable(path, [tmp_path / "other", path])
    if hasattr(os, "link"):
        os.link(path, tmp_path / "the same")
        with pytest.raises(ValueError, match="which is read and would be overwritten"):
            check_writable(tmp_path / "the same", [path])
    check_writable(tmp_path / "new", [path])


@posix
def test_the_umask_is_never_touched(path, monkeypatch):
    """For a moment it would be another for every thread of the process."""

    def refuse(_):
        raise AssertionError("the umask was set")

    monkeypatch.setattr(os, "umask", refuse)
    for write in WAYS.values():
        write(path)
    check_writable(path)


@posix
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@posix
def test_what_a_killed_write_left_is_swept_by_the_next(path, tmp_path):
    """But nothing of another file's, and nothing that a living process is writing."""
    code = "import os, sys; from nineline import writing; writing.os.fsync = lambda _: os.kill(os.getpid(), 9);"
    code += "writing.write_bytes(sys.argv[1], b'half')"
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    name, handle = writing._make(path, 0o600)  # one that is being written
    other, other_handle = writing._make(tmp_path / "other", 0o600)
    os.close(other_handle)  # another's leftover is that one's to sweep
    write_bytes(path, b"new")
    assert sorted(tmp_path.iterdir()) == sorted([path, name, other])
    os.close(handle)
    write_bytes(path, b"newer")
    assert sorted(tmp_path.iterdir()) == sorted([path, other])


@posix
def test_a_file_system_without_locks_is_written_all_the_same(path, tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(writing.fcntl, "flock", unknown)
    write_bytes(path, b"new")
    check_writable(path)
    write_bytes(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("locks", ["with locks", "without, as on Windows"])
def test_many_threads_write_one_file_and_it_is_always_whole(locks, path, monkeypatch):
    if locks != "with locks":
        monkeypatch.setattr(writing, "fcntl", None)
        monkeypatch.setattr(writing, "sweep", lambda _: None)  # there a file that is open cannot be removed
    contents = [bytes([i]) * 100_000 for i in range(6)]
    over, found = time.monotonic() + 1, set()
    write_bytes(path, contents[0])

    def write(content):
        while time.monotonic() < over:
            write_bytes(path, content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while time.monotonic() < over:
        found.add(path.read_bytes())
    for thread in threads:
        thread.join()
    assert found <= set(contents)
    assert list(path.parent.iterdir()) == [path]


def test_a_table_on_a_full_disk_leaves_what_was_there(path, monkeypatch):
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_predictions(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
