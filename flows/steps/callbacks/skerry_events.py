"""An Ansible callback: what happens in a run, as JSON, one event per line on standard error.

Each line starts with the record separator (RFC 7464), so that it can be told from the text that
Ansible and the programs below it print.
"""

# ruff: noqa: INP001 - Ansible finds its plugins by folder

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: skerry_events
type: aggregate
short_description: Events of a run for a program that watches it
description:
  - Writes plays, tasks, failures and the results per host as JSON lines to standard error.
"""

_MOST_TOLD = 3


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Tells plays, tasks, failures and results; never a value of a task that hides its output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "skerry_events"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """How much there is to do."""
        _emit("start", plays=len(playbook.get_plays()))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """The next play."""
        _emit("play", name=play.get_name().strip())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """The next task."""
        _emit("task", name=task.get_name().strip())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host failed in a task."""
        if not ignore_errors:
            _emit("failed", **_about(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host could not be reached."""
        _emit("unreachable", **_about(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """What each host came to."""
        _emit("stats", hosts={host: stats.summarize(host) for host in stats.processed})


def _about(result: Any) -> dict[str, str]:
    return {
        "host": result.host.get_name(),
        "task": result.task.get_name().strip(),
        "message": _message(result.result),
    }


def _message(answer: Any) -> str:
    """A module's own words; of a loop those of the items that failed."""
    items = [item for item in answer.get("results") or [] if _is_failed(item)]
    if items:
        return "\n".join(_message(item) for item in items[:_MOST_TOLD])
    told = str(answer.get("msg") or "no message").strip()
    told_by_program = str(answer.get("stderr") or answer.get("stdout") or "").strip()
    if told_by_program and told.startswith("non-zero return code"):
        told = f"{told}: " + "\n".join(told_by_program.splitlines()[-5:])
    return told


def _is_failed(item: Any) -> bool:
    return isinstance(item, dict) and bool(item.get("failed") or item.get("unreachable"))


def _emit(event: str, **values: object) -> None:
    sys.stderr.write("\x1e" + json.dumps({"event": event, **values}, default=str) + "\n")
    sys.stderr.flush()
