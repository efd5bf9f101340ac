"""service_unit: what it does for each state of unit, files and stamp; systemctl is a stub."""

from __future__ import annotations

import os
import time

import pytest

STUB = """#!/bin/sh
echo "$@" >> "$STUB/calls"
case "$1" in
  is-active) [ -f "$STUB/active" ] ;;
  is-enabled) [ -f "$STUB/enabled" ] ;;
  enable) touch "$STUB/enabled" ;;
  disable) rm -f "$STUB/enabled" "$STUB/active" ;;
  start|restart|reload) [ ! -f "$STUB/broken" ] || { echo "Job failed" >&2; exit 1; }
    touch "$STUB/active" ;;
esac
"""
ACTIONS = ("start", "restart", "reload", "disable")


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Put systemctl and journalctl on PATH; the folder holds what the unit is in."""
    folder = tmp_path / "stub"
    folder.mkdir()
    for name, text in (("systemctl", STUB), ("journalctl", "#!/bin/sh\necho last words\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("STUB", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def unit(plugin, tmp_path, monkeypatch, stub):
    module = plugin("library/service_unit.py")
    monkeypatch.setattr(module, "STAMPS", tmp_path / "units")
    return module


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "service.conf"
    path.write_text("a = 1\n")
    return path


@pytest.fixture
def cert(tmp_path):
    path = tmp_path / "cert.pem"
    path.write_text("one\n")
    return path


@pytest.fixture
def settle(unit, run, config, cert, stub):
    """Run the module over the unit `svc`; its answer with the verbs systemctl was given."""

    def call(**more):
        (stub / "calls").write_text("")
        result = run(unit, name="svc", restart_on=[str(config)], reload_on=[str(cert)], **more)
        lines = (stub / "calls").read_text().split("\n")
        verbs = [line.split()[0] for line in lines if line.startswith(ACTIONS)]
        return result, verbs

    return call


def rewrite(path, text):
    """Write a file so that its time of writing is later than all before."""
    path.write_text(text)
    later = time.time_ns() + 1_000_000
    os.utime(path, ns=(later, later))


def test_a_unit_that_was_never_started_is_enabled_and_started(settle, stub):
    result, verbs = settle()

    assert (result["action"], verbs) == ("started", ["start"])
    assert (stub / "enabled").exists()


def test_a_unit_that_runs_with_what_is_on_disk_is_left_alone(settle):
    settle()
    result, verbs = settle()

    assert (result["changed"], result["action"], verbs) == (False, "none", [])


def test_a_changed_file_restarts_the_unit_once(settle, config):
    settle()
    config.write_text("a = 2\n")

    assert settle()[1] == ["restart"]
    assert settle()[1] == []


def test_a_changed_certificate_reloads_the_unit_once(settle, cert):
    settle()
    cert.write_text("two\n")

    assert settle()[1] == ["reload"]
    assert settle()[1] == []


def test_both_changed_means_one_restart(settle, config, cert):
    settle()
    config.write_text("a = 2\n")
    cert.write_text("two\n")

    assert settle()[1] == ["restart"]
    assert settle()[1] == []


def test_a_file_that_is_gone_counts_as_changed(settle, config):
    settle()
    config.unlink()

    assert settle()[1] == ["restart"]


def test_a_run_killed_between_writing_a_file_and_restarting_is_made_good(settle, config, unit):
    settle()
    config.write_text("a = 2\n")
    # The run that wrote the file ended here; the next one finds the file as it should be.
    assert unit.needed("svc", unit.STAMPS / "svc", [str(config)], []) == "restarted"

    assert settle()[1] == ["restart"]


def test_a_run_killed_between_restarting_and_the_stamp_restarts_again(settle, unit, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(unit, "wait_healthy", killed)
        with pytest.raises(KeyboardInterrupt):
            settle()

    assert settle()[1] == ["restart"]
    assert settle()[1] == []


def test_a_unit_started_with_an_edited_file_is_restarted_when_the_file_is_put_right(settle, config):
    settle()
    # Somebody edits the file and restarts the unit; the next deploy writes the old content back.
    rewrite(config, "a = 666\n")
    rewrite(config, "a = 1\n")

    assert settle()[1] == ["restart"]
    os.utime(config, ns=(1, 1))
    assert settle()[1] == []


def test_a_unit_that_died_is_started(settle, stub):
    settle()
    (stub / "active").unlink()

    assert settle()[0]["action"] == "started"


def test_a_unit_that_runs_but_was_not_started_from_here_is_restarted(settle, stub):
    (stub / "active").touch()

    assert settle()[0]["action"] == "restarted"


def test_an_unhealthy_unit_is_an_error_with_its_last_words_and_is_not_stamped(settle, unit):
    result, _ = settle(health=["sh", "-c", "echo no leader >&2; false"], timeout_s=0)

    assert result["failed"] is True
    assert "svc was started and is not healthy after 0 s: no leader" in result["msg"]
    assert "last words" in result["msg"]
    assert "journalctl -u svc" in result["msg"]
    assert not (unit.STAMPS / "svc").exists()


def test_a_unit_that_systemd_cannot_start_is_an_error_with_its_reason(settle, stub):
    (stub / "broken").touch()

    assert "Job failed" in settle()[0]["msg"]


def test_health_is_waited_for(settle, tmp_path):
    flag = tmp_path / "flag"
    command = f"[ -f {flag} ] || {{ touch {flag}; exit 1; }}"

    assert settle(health=["sh", "-c", command])[0]["action"] == "started"


def test_the_first_start_has_a_gate_of_its_own(settle, config):
    first = {"first_health": ["true"], "health": ["sh", "-c", "echo full gate; false"]}

    assert settle(**first, timeout_s=0)[0]["action"] == "started"
    config.write_text("a = 2\n")
    assert "full gate" in settle(**first, timeout_s=0)[0]["msg"]


def test_check_mode_says_what_it_would_do_and_does_nothing(settle, config):
    settle()
    config.write_text("a = 2\n")

    result, verbs = settle(_ansible_check_mode=True)

    assert (result["action"], verbs) == ("restarted", [])
    assert settle()[1] == ["restart"]


def test_a_unit_is_stopped_and_disabled_once(settle, unit, stub):
    settle()

    assert settle(state="stopped")[1] == ["disable"]
    assert not (unit.STAMPS / "svc").exists()
    result, verbs = settle(state="stopped")
    assert (result["changed"], verbs) == (False, [])
