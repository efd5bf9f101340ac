"""Edits by hand, as somebody would make them who does not know better; and their undoing."""

from __future__ import annotations

from pathlib import Path

from flows.acceptance.remote.machine import run


def edit(file: str, old: str, new: str) -> None:
    """Replace a text in a file, keeping a copy beside it; raises RuntimeError without that text."""
    path = Path(file)
    content = path.read_text()
    if old not in content:
        raise RuntimeError(f"{file} does not hold {old}")
    copy = Path(f"{file}.skerry-check")
    copy.touch(mode=0o600)
    copy.write_text(content)
    path.write_text(content.replace(old, new, 1))


def forget(file: str, old: str, new: str) -> None:
    """Undo `edit` if nobody else has, and remove its copy."""
    path, copy = Path(file), Path(f"{file}.skerry-check")
    if copy.is_file():
        content = copy.read_text()
        if path.read_text() == content.replace(old, new, 1):
            path.write_text(content)
        copy.unlink()


def stop(unit: str) -> None:
    """Stop a service."""
    run(["systemctl", "stop", unit])


def start(unit: str) -> None:
    """Start a service."""
    run(["systemctl", "start", unit])
