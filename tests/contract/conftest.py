"""What the contract tests read: the checkout's text, roles, and tasks with the file they are in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
TEXT = {".py", ".yml", ".yaml", ".j2", ".md", ".toml", ".json", ".service", ".conf", ".sh", ".cfg"}
LISTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")
# Words of a task that are not the module it calls.
KEYWORDS = frozenset(
    (
        "name", "when", "register", "loop", "loop_control", "vars", "no_log", "changed_when",
        "failed_when", "check_mode", "until", "retries", "delay", "delegate_to", "become",
        "throttle", "block", "rescue", "always", "run_once", "notify", "tags", "environment",
        "listen", "args", "diff", "become_user", "ignore_errors", "any_errors_fatal", "hosts",
        "import_playbook", "roles", "tasks", "gather_facts",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A task, and where it stands."""

    file: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.body.get('name')}"

    @property
    def module(self) -> str:
        """The module it calls, without its collection; empty for a block."""
        found = [key for key in self.body if key not in KEYWORDS]
        return found[0].rsplit(".", 1)[-1] if found else ""

    @property
    def arguments(self) -> Any:
        """What the module is given."""
        found = [key for key in self.body if key not in KEYWORDS]
        return self.body[found[0]] if found else None


def tasks_in(file: str, node: Any) -> Iterator[Task]:
    """Yield the tasks of a play, a block or a list of either."""
    if isinstance(node, list):
        for one in node:
            yield from tasks_in(file, one)
    elif isinstance(node, dict):
        if "hosts" not in node and "ansible.builtin.import_playbook" not in node:
            yield Task(file, node)
        for key in LISTS:
            yield from tasks_in(file, node.get(key))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Text of every file of the project that is under version control or about to be, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    paths = [Path(name) for name in listed.split("\0") if name]
    return {
        str(path): (CHECKOUT / path).read_text(encoding="utf-8", errors="replace")
        for path in sorted(paths)
        if (CHECKOUT / path).is_file()
        and (path.suffix in TEXT or path.name == "Makefile" or path.parts[0] == ".ci")
    }


@pytest.fixture(scope="session")
def roles() -> list[Path]:
    """The folders of the roles."""
    return sorted(path for path in (CHECKOUT / "playbooks/roles").iterdir() if path.is_dir())


@pytest.fixture(scope="session")
def load_yaml() -> Callable[[Path], Any]:
    """Read a YAML file; an empty one is an empty mapping."""
    return lambda path: yaml.safe_load(path.read_text()) or {} if path.is_file() else {}


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    """Every task of every playbook and role."""
    files = [
        path
        for path in sorted((CHECKOUT / "playbooks").rglob("*.yml"))
        if path.parent.name not in {"meta", "defaults", "vars"}
    ]
    return [
        task
        for path in files
        for task in tasks_in(str(path.relative_to(CHECKOUT)), yaml.safe_load(path.read_text()))
    ]
