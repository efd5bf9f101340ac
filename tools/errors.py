"""The package's errors.

ToolsError
├── CommandError   a program that we ran failed
└── SourceAbsent   this source cannot serve the tool; the next one is tried
"""

from __future__ import annotations

import errno


class ToolsError(Exception):
    """What failed, at which step of which tool, and what to do about it, on one line."""

    def __init__(self, tool: str, step: str, problem: str, remedy: str) -> None:
        super().__init__(f"{tool}: {step}: {problem}. Remedy: {remedy}")
        self.tool = tool
        self.step = step
        self.problem = problem
        self.remedy = remedy


class CommandError(ToolsError):
    """A program ended with another code than 0; `tail` holds the end of what it printed."""

    def __init__(self, tool: str, step: str, problem: str, remedy: str, tail: str) -> None:
        super().__init__(tool, step, problem, remedy)
        self.tail = tail


class SourceAbsent(ToolsError):  # noqa: N818 - a source that has nothing to offer is no fault
    """A source does not apply on this machine; its reason is told, then the next one is tried."""


def no_space(tool: str, step: str, where: object, need_bytes: int = 0) -> ToolsError:
    """Build the error for a full file system that holds `where`."""
    need = f", {need_bytes // 2**20} MiB are needed" if need_bytes else ""
    return ToolsError(
        tool,
        step,
        f"no disk space left under {where}{need}",
        "free space there, or point XDG_CACHE_HOME (for a build also GOCACHE and GOMODCACHE) to a "
        "larger file system, and run the command again",
    )


def is_no_space(error: OSError) -> bool:
    """Tell whether `error` means a full file system or an exhausted quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
