"""Writing files: all of one, or nothing.

A file is written under another name beside its place, synced to disk, and then renamed over it: at every moment there
is either the old file or the new one. A symbolic link is followed, and a file that is replaced keeps its mode. What is
no file (a device, a pipe), or is read-only, is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TEMPORARY: Final = ".nineline-"
_KINDS: Final = (
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` in the place of a file: all of it, or nothing.

    Raises
    ------
    OSError
        The file cannot be written; what lay there before is untouched.
    """
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file to write, which takes the place of `path` at the end: all of it, or, after an exception, nothing.

    Raises
    ------
    OSError
        The file cannot be written; what lay there before is untouched.
    """
    target, old = _target(path)
    sweep(target)
    name, handle = _make(target, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if old is not None and hasattr(os, "fchown"):
                with contextlib.suppress(OSError):  # only root may give a file to another
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is held
                name.replace(target)
        if fcntl is None:
            name.replace(target)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def check_writable(path: str | os.PathLike[str], read: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Raise now where `write_bytes` would later, or where the file is one of those that are read.

    Raises
    ------
    OSError
        The file could not be written.
    ValueError
        It is read, and would be overwritten.
    """
    target, old = _target(path)
    if old is not None:
        for each in read:
            if Path(each).exists() and target.samefile(each):
                raise ValueError(f"out is {path}, which is read and would be overwritten; name another file")
    try:
        name, handle = _make(target, 0o600)
        os.close(handle)
        name.unlink(missing_ok=True)
    except OSError as error:
        raise PermissionError(f"{os.fspath(path)} cannot be written ({error.strerror}); write elsewhere") from error


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what a process left beside a file that was killed while it wrote it."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for left in target.parent.glob(prefix(target) + "*"):
            with contextlib.suppress(OSError):  # somebody is writing it now
                handle = os.open(left, os.O_RDWR)
                try:
                    _lock(handle, wait=False)
                    left.unlink(missing_ok=True)
                finally:
                    os.close(handle)


def prefix(target: Path) -> str:
    """Return what the temporary names of a file begin with; its own name may be too long for that."""
    return f"{_TEMPORARY}{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}-"


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Return the place that is to be written, links followed, and what lies there; raise where it may not be."""
    target = Path(os.path.realpath(path))
    try:
        old = Path(path).stat()  # not of `target`: a circle of links has none
    except FileNotFoundError:
        old = None
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(f"{path} is a folder; name a file in it, such as {Path(path) / 'model.nineline'}")
    if old is not None and not stat.S_ISREG(old.st_mode):
        kind = next((words for is_it, words in _KINDS if is_it(old.st_mode)), "no file")
        raise OSError(f"{path} is {kind}, which a file would replace; name a file")
    if not target.parent.is_dir():
        folder = target.parent if Path(path).is_symlink() else Path(path).parent
        raise FileNotFoundError(f"the folder {folder} does not exist; make it first, or write elsewhere")
    if old is not None and not (old.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise PermissionError(f"{path} exists and is read-only; write elsewhere, or make it writable")
    return target, old


def _make(target: Path, mode: int) -> tuple[Path, int]:
    """Return a new file beside `target`, held against `sweep` until it is closed. The kernel applies the umask."""
    while True:
        name = target.parent / f"{prefix(target)}{secrets.token_hex(4)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(name, flags, mode)
        with contextlib.suppress(OSError):  # some file systems know no locks, and there nothing is swept
            _lock(handle, wait=True)
        if name.exists():
            return name, handle
        os.close(handle)  # a sweep came between


def _lock(handle: int, *, wait: bool) -> None:
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened for this
        return
    with contextlib.suppress(OSError):  # the file itself is synced; some file systems know no more
        handle: Any = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
