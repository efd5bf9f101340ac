"""The cache directory: where things are, one run at a time, whole files only."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import ToolsError, is_no_space, no_space

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.progress import Progress

_CHUNK = 1 << 20
_LOCK_POLL_SECONDS = 0.2


def root() -> Path:
    """Return the project's cache directory ($XDG_CACHE_HOME/skerry)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "skerry"


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an absent or unreadable one counts as empty.

    What these files say can always be found out again, so damage costs work, not correctness.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Replace a JSON file in one step that survives a power cut."""
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step that survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def need_space(tool: str, step: str, where: Path, need_bytes: int) -> None:
    """Check that the file system of `where` has room.

    Raises:
        ToolsError: it has not.
    """
    place = where
    while not place.exists():
        place = place.parent
    if shutil.disk_usage(place).free < need_bytes:
        raise no_space(tool, step, place, need_bytes)


def sync_filesystem(path: Path) -> None:
    """Flush everything of the file system that holds `path`; one call for thousands of files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(tool: str, step: str, where: Path) -> Iterator[None]:
    """Turn file system errors inside the block into ToolsErrors."""
    try:
        yield
    except OSError as error:
        if is_no_space(error):
            raise no_space(tool, step, where) from error
        raise ToolsError(
            tool,
            step,
            f"{error.strerror or error} ({error.filename or where})",
            "make the place readable and writable for this user, or set XDG_CACHE_HOME to another",
        ) from error


@contextmanager
def work_directory(parent: Path) -> Iterator[Path]:
    """Give an empty directory that is removed afterwards, with those of killed runs.

    The caller holds the lock of `parent`, so whatever lies there belongs to nobody.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob("work-*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = parent / f"work-{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def lock(directory: Path, tool: str, progress: Progress) -> Iterator[None]:
    """Hold the directory's lock; a second run waits for the first and says so.

    The kernel drops the lock with the process, so a killed run never blocks the next one.
    """
    with disk_errors(tool, "lock", directory):
        directory.mkdir(parents=True, exist_ok=True)
        stream = (directory / ".lock").open("a+", encoding="utf-8")
    with stream:
        told = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                text = f"waiting for another run (process {holder}) to finish"
                if told:
                    progress.detail(text)
                else:
                    progress.say(tool, text)
                    told = True
                time.sleep(_LOCK_POLL_SECONDS)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
