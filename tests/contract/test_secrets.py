"""Secrets are in no log, no process list and no diff."""

from __future__ import annotations

import json
import re

import pytest

TOKEN_HEADER = re.compile(r"X-(Vault|Consul|Nomad)-Token")
SECRET_VALUE = re.compile(r"(?i)(token|secret|_key\b|gossip|password|keys_base64)")
# Modules whose answer holds secrets.
TELLERS = {"engine_secrets", "nomad_tokens"}


def text_of(task):
    return json.dumps(task.arguments)


def hidden(task):
    return task.body.get("no_log") is True


def test_a_call_with_a_token_in_its_header_is_not_logged(tasks):
    shown = [
        str(task)
        for task in tasks
        if task.module == "uri" and TOKEN_HEADER.search(text_of(task)) and not hidden(task)
    ]

    assert shown == []


def test_what_a_module_tells_of_secrets_is_not_logged(tasks):
    assert [str(task) for task in tasks if task.module in TELLERS and not hidden(task)] == []


def test_an_object_that_holds_a_secret_is_not_logged(tasks):
    shown = [
        str(task)
        for task in tasks
        if task.module == "engine_objects"
        and re.search(r"SecretID|\.secret\b|tokens\.tokens|gossip_values", text_of(task))
        and not hidden(task)
    ]

    assert shown == []


def test_a_fact_that_holds_a_secret_is_not_logged(tasks):
    shown = [
        str(task)
        for task in tasks
        if task.module == "set_fact" and SECRET_VALUE.search(text_of(task)) and not hidden(task)
    ]

    assert shown == []


def test_no_command_line_carries_a_secret(tasks):
    # `-keyout FILE` and paths below /secrets are names, not values.
    shown = [
        str(task)
        for task in tasks
        if task.module in {"command", "shell", "raw", "script"}
        for value in re.findall(r"{{(.*?)}}", text_of(task))
        if SECRET_VALUE.search(value)
    ]

    assert shown == []


def test_a_file_with_a_secret_is_private_and_shown_by_its_digest_only(tasks, checkout):
    open_files = []
    for task in tasks:
        if task.module != "install_files":
            continue
        for entry in task.arguments["files"]:
            content = str(entry.get("content", ""))
            if "template" in entry:
                role = checkout / task.file.split("/tasks/")[0]
                content = (role / "templates" / entry["template"]).read_text()
            named = " ".join(re.findall(r"{{(.*?)}}", content, flags=re.DOTALL))
            if SECRET_VALUE.search(named) or "_config" in named:
                private = entry["mode"][-1] == "0"
                if not (private and (entry.get("secret") or hidden(task))):
                    open_files.append(f"{task}: {entry['dest']}")

    assert open_files == []


@pytest.mark.parametrize("argument", ["token", "join_token", "consul_token", "nomad_token", "keys"])
def test_a_modules_own_secret_arguments_are_kept_out_of_logs(texts, argument):
    declared = re.compile(rf'"{argument}": {{"type"[^}}]*}}')
    found = [
        (path, match)
        for path, text in texts.items()
        if path.startswith(("playbooks/library/", "playbooks/module_utils/"))
        for match in declared.findall(text)
    ]

    assert found
    assert [one for one in found if '"no_log": True' not in one[1]] == []


def test_no_long_random_text_stands_in_a_file(texts):
    token = re.compile(r"\b(hv[sbr]\.[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[ps]_[A-Za-z0-9]{36})")
    private = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{64}")
    found = [path for path, text in texts.items() if token.search(text) or private.search(text)]

    assert found == []
