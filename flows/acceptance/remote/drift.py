"""Edits by hand, as somebody would make them who does not know better; and their undoing."""

from __future__ import annotations

from pathlib import Path

from flows.acceptance.remote.machine import run


def edit(file: str, old: str, new: str) -> bool:
    """Replace a text in a file, keeping a copy beside it; raises RuntimeError without that text."""
    path = Path(file)
    content = path.read_text()
    if old not in content:
        raise RuntimeError(f"{file} does not hold {old}")
    copy = Path(f"{file}.skerry-check")
    copy.touch(mode=0o600)
    copy.write_text(content)
    path.write_text(content.replace(old, new, 1))
    return True


def restore(file: str, edited: bool = True) -> None:
    """Undo `edit`."""
    copy = Path(f"{file}.skerry-check")
    if edited and copy.is_file():
        Path(file).write_text(copy.read_text())
        copy.unlink()


def stop(unit: str) -> None:
    """Stop a service."""
    run(["systemctl", "stop", unit])


def start(unit: str) -> None:
    """Start a service."""
    run(["systemctl", "start", unit])
