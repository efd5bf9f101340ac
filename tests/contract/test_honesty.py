"""Tasks report what they did: no command is silent about change, no reading is skipped."""

from __future__ import annotations


def test_every_command_says_when_it_changed_something(tasks):
    silent = [
        str(task)
        for task in tasks
        if task.module in {"command", "shell", "raw", "script"}
        and "changed_when" not in task.body
        and "creates" not in task.arguments
    ]

    assert silent == []


def test_every_call_that_writes_says_so(tasks):
    """Logging in and unwrapping change nothing that anybody keeps."""
    silent = [
        str(task)
        for task in tasks
        if task.module == "uri"
        and task.arguments.get("method", "GET") != "GET"
        and "login" not in task.arguments["url"]
        and "changed_when" not in task.body
    ]

    assert silent == []


def test_what_later_tasks_need_is_read_in_check_mode_too(tasks):
    """Ansible skips `uri` when it checks; a task that uses the answer would fail."""
    skipped = [
        str(task)
        for task in tasks
        if task.module == "uri"
        and task.arguments.get("method", "GET") == "GET"
        and "register" in task.body
        and task.body.get("check_mode") is not False
        and "/remove.yml" not in task.file
    ]

    assert skipped == []


def test_every_task_has_a_name_that_begins_with_its_step_or_a_capital(tasks):
    unnamed = [
        task.file
        for task in tasks
        if not str(task.body.get("name", "")) or not str(task.body["name"])[0].isupper()
    ]

    assert unnamed == []


def test_no_error_is_ignored(tasks):
    assert [str(task) for task in tasks if task.body.get("ignore_errors")] == []
