"""Renders templates and reads files on the controller, then hands them over in one step."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

SOURCES = ("template", "src", "content", "directory")


class ActionModule(ActionBase):
    """Controller's half of `install_files`."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Render, then run the module; see the module's documentation for the arguments."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        files = [self._entry(dict(entry), task_vars or {}) for entry in self._task.args["files"]]
        result.update(
            self._execute_module(
                module_name="install_files", module_args={"files": files}, task_vars=task_vars
            )
        )
        return result

    def _entry(self, entry: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        given = [source for source in SOURCES if source in entry]
        if len(given) != 1 or "dest" not in entry or "mode" not in entry:
            raise AnsibleActionFail(
                f"install_files: {entry.get('dest', entry)} needs dest, mode and one of "
                f"{', '.join(SOURCES)}"
            )
        if given == ["directory"]:
            return entry
        if given == ["template"]:
            content = self._render(entry.pop("template"), task_vars)
        elif given == ["src"]:
            content = Path(self._find_needle("files", entry.pop("src"))).read_bytes()
        else:
            content = str(entry.pop("content")).encode()
        entry["content_b64"] = base64.b64encode(content).decode()
        return entry

    def _render(self, name: str, task_vars: dict[str, Any]) -> bytes:
        path = Path(self._find_needle("templates", name))
        templar = self._templar.copy_with_new_env(
            searchpath=[str(path.parent)], available_variables=task_vars
        )
        rendered = templar.template(
            trust_as_template(path.read_text(encoding="utf-8")),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": True},
        )
        return (str(rendered).rstrip("\n") + "\n").encode()
