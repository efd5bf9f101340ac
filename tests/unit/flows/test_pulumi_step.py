"""The exact commands given to Pulumi, and what is done about locks left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import StackError, StackLockedError
from flows.steps import pulumi
from infra import settings as infra_settings
from infra.process import Completed

QUIET = ["--non-interactive", "--color", "never"]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A prepared state directory, an installed CLI, and a program folder of its own."""
    here = infra_settings.load(
        {
            "HOME": str(tmp_path),
            "SKERRY_STATE": str(tmp_path / "state"),
            "SKERRY_INVENTORIES": str(tmp_path / "inventories"),
        }
    )
    infra_settings.prepare(here)
    binary = tmp_path / "tools" / "pulumi"
    binary.parent.mkdir()
    binary.write_text("")
    binary.chmod(0o755)
    here.tools_manifest.parent.mkdir(parents=True)
    here.tools_manifest.write_text(json.dumps({"pulumi": {"path": str(binary)}}))
    monkeypatch.setattr(pulumi, "SITE_PROGRAM", tmp_path / "program")
    (tmp_path / "program").mkdir()
    return here


@pytest.fixture
def commands(monkeypatch):
    """Record commands instead of running them; `answers` maps a verb to (code, out, err)."""

    class Commands(list):
        def __init__(self):
            super().__init__()
            self.answers: dict[str, tuple[int, str, str]] = {}

        @property
        def verbs(self):
            return [argv[2] if argv[1] == "stack" else argv[1] for argv in self]

    seen = Commands()

    def run(argv, **_given):
        seen.append(list(argv))
        code, out, err = seen.answers.get(seen.verbs[-1], (0, "", ""))
        return Completed(tuple(argv), code, out, err, 0.1)

    monkeypatch.setattr(pulumi.process, "run", run)
    return seen


def lock(settings, pid, host=None):
    """Write a lock as the CLI does."""
    folder = settings.state / "pulumi/.pulumi/locks/organization/skerry-site/es"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "1234.json"
    content = {"pid": pid, "username": "ada", "hostname": host or socket.gethostname()}
    file.write_text(json.dumps(content | {"timestamp": "2026-11-22T17:00:00Z"}))
    return file


@pytest.fixture
def dead_pid():
    """The number of a process that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (pulumi.init_argv("es"), ["stack", "init", "es", "--no-select"]),
        (
            pulumi.up_argv("es"),
            ["up", "--stack", "es", "--refresh", "--yes", "--skip-preview"],
        ),
        (pulumi.preview_argv("es"), ["preview", "--stack", "es", "--refresh"]),
        (
            pulumi.preview_argv("es", expect_no_changes=True),
            ["preview", "--stack", "es", "--refresh", "--expect-no-changes"],
        ),
        (
            pulumi.refresh_argv("es"),
            ["refresh", "--stack", "es", "--clear-pending-creates", "--yes", "--skip-preview"],
        ),
        (
            pulumi.destroy_argv("es"),
            ["destroy", "--stack", "es", "--refresh", "--yes", "--skip-preview", "--remove"],
        ),
        (pulumi.output_argv("es"), ["stack", "output", "--json", "--stack", "es"]),
        (pulumi.cancel_argv("es"), ["cancel", "--stack", "es", "--yes"]),
    ],
)
def test_the_command_is_exactly_this(argv, expected):
    assert argv == ["pulumi", *expected, *QUIET]


def test_the_environment_names_backend_passphrase_and_both_folders(settings, tmp_path):
    env = pulumi.environment(settings, {"PATH": "/usr/bin", "LANG": "C"})
    state = tmp_path / "state"
    assert env["LANG"] == "C"
    assert env["PULUMI_BACKEND_URL"] == f"file://{state}/pulumi"
    assert env["PULUMI_HOME"] == f"{state}/pulumi-home"
    assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == f"{state}/pulumi-passphrase"
    assert env["SKERRY_INVENTORIES"] == f"{tmp_path}/inventories"
    assert env["PATH"].split(":") == [
        str(Path(sys.executable).parent),
        str(tmp_path / "tools"),
        "/usr/bin",
    ]
    passphrase = (state / "pulumi-passphrase").read_text().strip()
    assert passphrase not in "".join(env.values())


def test_up_makes_the_stack_and_reads_the_summary(settings, commands):
    summary = (
        "Outputs:\n    site: {}\n\nResources:\n    + 3 created\n    ~ 1 updated\n"
        "    +-2 replaced\n    - 1 deleted\n    8 unchanged\n\nDuration: 2s\n"
    )
    commands.answers["up"] = (0, summary, "")
    changes = pulumi.up("es", settings)
    assert commands.verbs == ["init", "up"]
    assert changes == pulumi.Changes(3, 1, 2, 1, 8)
    assert changes.any
    assert not pulumi.Changes(unchanged=9).any


def test_a_stack_that_exists_is_used(settings, commands):
    commands.answers["init"] = (255, "", "error: stack 'es' already exists")
    pulumi.up("es", settings)
    assert commands.verbs == ["init", "up"]


def test_a_failure_keeps_what_pulumi_said_and_says_how_to_see_it(settings, commands):
    commands.answers["up"] = (255, "noise\n", "error: the network es-x exists\n  remedy: rm it\n")
    with pytest.raises(StackError, match="the network es-x exists") as caught:
        pulumi.up("es", settings)
    assert "remedy: rm it" in str(caught.value)
    assert "pulumi up --stack es" in str(caught.value)
    assert "noise" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "err", "expected"),
    [(0, "", True), (255, "error: no changes were expected but changes were proposed", False)],
)
def test_unchanged_tells_a_difference_from_none(settings, commands, code, err, expected):
    commands.answers["preview"] = (code, "", err)
    assert pulumi.unchanged("es", settings) is expected


def test_a_preview_that_fails_is_not_a_difference(settings, commands):
    commands.answers["preview"] = (255, "", "error: the Docker daemon does not answer")
    with pytest.raises(StackError, match="daemon does not answer"):
        pulumi.unchanged("es", settings)


def test_the_lock_of_a_dead_run_is_taken_away_first(settings, commands, dead_pid):
    lock(settings, dead_pid)
    pulumi.up("es", settings)
    assert commands.verbs == ["cancel", "init", "up"]


def test_the_lock_of_a_recycled_process_number_is_dead_too(settings, commands):
    lock(settings, os.getpid())
    pulumi.up("es", settings)
    assert commands.verbs == ["cancel", "init", "up"]


def test_the_lock_of_a_run_that_lives_is_waited_for_and_then_named(settings, commands, monkeypatch):
    monkeypatch.setattr(pulumi.Lock, "alive", True)
    file = lock(settings, 4321)
    with pytest.raises(StackLockedError, match="process 4321") as caught:
        pulumi._free("es", settings, wait_s=0.0)
    assert str(file) in str(caught.value)
    assert "pulumi cancel --stack es" in str(caught.value)
    assert commands == []


def test_a_lock_from_another_machine_is_never_broken(settings, commands, dead_pid):
    lock(settings, dead_pid, host="elsewhere")
    with pytest.raises(StackLockedError, match="on elsewhere"):
        pulumi.up("es", settings)
    assert commands == []


def test_a_backend_that_is_not_a_folder_shows_no_locks(tmp_path):
    remote = infra_settings.load({"HOME": str(tmp_path), "PULUMI_BACKEND_URL": "s3://bucket"})
    assert pulumi.locks("es", remote) == []


def test_destroying_a_stack_that_is_not_there_does_nothing(settings, commands):
    commands.answers["ls"] = (0, '[{"name": "pt"}]', "")
    assert pulumi.destroy("es", settings) is False
    assert commands.verbs == ["ls"]


@pytest.mark.parametrize(
    ("pending", "verbs"),
    [([], ["ls", "export", "destroy"]), ([{}], ["ls", "export", "up", "destroy"])],
)
def test_destroy_adopts_what_a_killed_run_made_first(settings, commands, pending, verbs):
    commands.answers["ls"] = (0, '[{"name": "organization/skerry-site/es"}]', "")
    state = {"deployment": {"pending_operations": pending}}
    commands.answers["export"] = (0, json.dumps(state), "")
    assert pulumi.destroy("es", settings) is True
    assert commands.verbs == verbs


def test_a_stack_file_with_nothing_but_a_salt_is_dropped(settings, commands):
    file = pulumi.SITE_PROGRAM / "Pulumi.es.yaml"
    file.write_text("encryptionsalt: v1:abc\n")
    pulumi.preview("es", settings)
    assert not file.exists()


def test_a_stack_file_with_settings_is_kept(settings, commands):
    file = pulumi.SITE_PROGRAM / "Pulumi.es.yaml"
    text = "encryptionsalt: v1:abc\nconfig:\n  skerry-site:startTimeoutSeconds: 300\n"
    file.write_text(text)
    pulumi.preview("es", settings)
    assert file.read_text() == text


def test_outputs_are_parsed(settings, commands):
    commands.answers["output"] = (0, '{"site": {"machines": []}}', "")
    assert pulumi.outputs("es", settings) == {"site": {"machines": []}}
