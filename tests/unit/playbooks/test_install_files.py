"""install_files on the machine: atomic, private from the first moment, and only on difference."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import stat

import pytest


@pytest.fixture
def install(plugin):
    return plugin("library/install_files.py")


@pytest.fixture
def entry(tmp_path):
    """Describe a file of the account that runs the tests."""

    def make(name="service.conf", content=b"a = 1\n", mode="0640", **more):
        return {
            "dest": str(tmp_path / name),
            "mode": mode,
            "owner": pwd.getpwuid(os.getuid()).pw_name,
            "group": grp.getgrgid(os.getgid()).gr_name,
            "content_b64": base64.b64encode(content).decode(),
            **more,
        }

    return make


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_mode_and_then_left_alone(install, run, entry, tmp_path):
    first = run(install, files=[entry()])
    path = tmp_path / "service.conf"
    written = path.stat()

    second = run(install, files=[entry()])

    assert (first["changed"], second["changed"]) == (True, False)
    assert path.read_text() == "a = 1\n"
    assert mode_of(path) == 0o640
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_a_changed_file_is_replaced_by_rename_and_leaves_nothing_beside_it(
    install, run, entry, tmp_path
):
    path = tmp_path / "service.conf"
    path.write_text("edited by hand\n")
    with path.open() as reader:
        run(install, files=[entry()])
        still_read = reader.read()

    assert still_read == "edited by hand\n"
    assert names_in(tmp_path) == ["service.conf"]


def test_a_write_that_is_cut_short_leaves_the_old_file_whole(
    install, run, entry, tmp_path, monkeypatch
):
    path = tmp_path / "service.conf"
    path.write_text("old\n")

    def full_disk(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install.os, "fsync", full_disk)
    result = run(install, files=[entry()])

    assert result["failed"] is True
    assert str(path) in result["msg"]
    assert "No space left" in result["msg"]
    assert path.read_text() == "old\n"

    monkeypatch.undo()
    assert run(install, files=[entry()])["changed"] is True
    assert names_in(tmp_path) == ["service.conf"]


def test_content_is_private_before_its_mode_is_set(install, run, entry, monkeypatch):
    seen = []
    real = os.chown

    def look(path, uid, gid):
        seen.append(mode_of(path))
        real(path, uid, gid)

    monkeypatch.setattr(install.os, "chown", look)
    run(install, files=[entry(mode="0644")])

    assert seen == [0o600]


def test_a_mode_alone_is_a_change_and_does_not_rewrite_the_file(install, run, entry, tmp_path):
    run(install, files=[entry(mode="0644")])
    path = tmp_path / "service.conf"
    inode = path.stat().st_ino

    result = run(install, files=[entry(mode="0600")])

    assert result["changed"] is True
    assert (mode_of(path), path.stat().st_ino) == (0o600, inode)


def test_a_link_is_replaced_and_what_it_leads_to_is_not_touched(install, run, entry, tmp_path):
    (tmp_path / "elsewhere").write_text("a = 1\n")
    (tmp_path / "service.conf").symlink_to(tmp_path / "elsewhere")

    assert run(install, files=[entry()])["changed"] is True
    assert not (tmp_path / "service.conf").is_symlink()


def test_a_directory_is_made_with_its_mode_and_then_left_alone(install, run, entry, tmp_path):
    wanted = entry("d", mode="0750", directory=True)
    wanted.pop("content_b64")

    assert run(install, files=[wanted])["changed"] is True
    assert run(install, files=[wanted])["changed"] is False
    assert mode_of(tmp_path / "d") == 0o750


def test_check_mode_shows_the_difference_and_writes_nothing(install, run, entry, tmp_path):
    path = tmp_path / "service.conf"
    path.write_text("a = 2\n")

    result = run(install, check=True, files=[entry()])

    assert result["changed"] is True
    assert result["diff"] == [{"before_header": str(path), "before": "a = 2\n", "after": "a = 1\n"}]
    assert path.read_text() == "a = 2\n"


def test_check_mode_expects_the_account_that_an_earlier_step_would_have_made(
    install, run, entry, tmp_path
):
    wanted = entry(owner="nobody-here-yet", group="nobody-here-yet")

    assert run(install, check=True, files=[wanted])["changed"] is True
    assert "nobody-here-yet" in run(install, files=[wanted])["msg"]
    assert names_in(tmp_path) == []


def test_a_secret_is_shown_by_its_digest_and_its_file_by_name(install, run, entry, tmp_path):
    result = run(install, files=[entry(content=b"token = hvs.s3cret\n", secret=True)])

    assert result["diff"][0]["before_header"] == str(tmp_path / "service.conf")
    assert "sha256 " in result["diff"][0]["after"]
    assert "s3cret" not in str(result)
    assert base64.b64encode(b"token = hvs.s3cret\n").decode() not in str(result)


def test_a_folder_that_is_missing_is_named(install, run, entry):
    result = run(install, files=[entry("none/service.conf")])

    assert result["failed"] is True
    assert "none/service.conf: [Errno 2] No such file or directory" in result["msg"]
