"""Files are whole, secrets are private, and the environment decides where things lie."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import files, process, settings
from infra.errors import SettingsError


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def here(tmp_path: Path) -> settings.Settings:
    """Settings below a temporary folder."""
    return settings.load({"HOME": str(tmp_path), "SKERRY_STATE": str(tmp_path / "state")})


def test_a_file_is_replaced_with_its_mode(tmp_path):
    target = tmp_path / "new" / "file"
    files.write_atomic(target, "one")
    files.write_atomic(target, "two", mode=0o600)
    assert target.read_text() == "two"
    assert mode(target) == 0o600


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "file"
    files.write_atomic(target, "old")

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomic(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_of_many_makers_exactly_one_writes(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: files.create_once(tmp_path / "f", f"{n}"), range(32)))
    assert won.count(True) == 1
    assert (tmp_path / "f").read_text() == str(won.index(True))


def test_directories_follow_the_environment(tmp_path):
    plain = settings.load({"HOME": "/home/ada"})
    assert str(plain.state) == "/home/ada/.local/state/skerry"
    assert str(plain.cache) == "/home/ada/.cache/skerry"
    assert plain.inventories == settings.CHECKOUT / "inventories"
    assert plain.backend_url == "file:///home/ada/.local/state/skerry/pulumi"
    other = settings.load(
        {
            "HOME": "/home/ada",
            "XDG_STATE_HOME": "/s",
            "XDG_CACHE_HOME": "/c",
            "SKERRY_INVENTORIES": str(tmp_path),
            "PULUMI_BACKEND_URL": "s3://bucket",
        }
    )
    assert (str(other.state), str(other.cache)) == ("/s/skerry", "/c/skerry")
    assert (other.inventories, other.backend_url) == (tmp_path, "s3://bucket")


def test_preparing_makes_private_secrets_once(here):
    settings.prepare(here)
    first = here.passphrase_file.read_text(), here.private_key.read_text()
    settings.prepare(here)
    assert (here.passphrase_file.read_text(), here.private_key.read_text()) == first
    assert mode(here.state) == 0o700
    assert mode(here.passphrase_file) == 0o600
    assert mode(here.private_key) == 0o600
    assert re.fullmatch(r"ssh-ed25519 \S+", settings.read_public_key(here))


def test_several_runs_at_once_agree_on_one_key_pair(here):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: settings.prepare(here), range(4)))
    derived = process.run(["ssh-keygen", "-y", "-f", str(here.private_key)], timeout=10).stdout
    assert derived.split()[:2] == here.public_key.read_text().split()[:2]


def test_a_lost_public_key_is_derived_again(here):
    settings.prepare(here)
    before = settings.read_public_key(here)
    here.public_key.unlink()
    settings.prepare(here)
    assert settings.read_public_key(here) == before


def test_a_secret_that_others_can_read_is_refused_with_the_command_that_mends_it(here):
    settings.prepare(here)
    here.passphrase_file.chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by other users") as caught:
        settings.prepare(here)
    assert f"chmod 600 {here.passphrase_file}" in str(caught.value)


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    here = settings.load({"HOME": "/h", "SKERRY_STATE": str(tmp_path / "file" / "state")})
    with pytest.raises(SettingsError, match="cannot be written") as caught:
        settings.prepare(here)
    assert "SKERRY_STATE" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the engines are not installed"),
        ("{", "does not name pulumi"),
        ('{"vault": {}}', "does not name pulumi"),
        ('{"pulumi": {"path": "/nowhere/pulumi"}}', "the binary of pulumi is gone"),
    ],
)
def test_a_missing_engine_names_the_file_and_make_tools(tmp_path, content, told):
    here = settings.load({"HOME": str(tmp_path)})
    if content is not None:
        files.write_atomic(here.tools_manifest, content)
    with pytest.raises(SettingsError, match=told) as caught:
        settings.tool(here, "pulumi")
    assert "make tools" in str(caught.value)


def test_the_exports_survive_a_shell_with_odd_paths(tmp_path):
    here = settings.load({"HOME": "/h", "SKERRY_STATE": str(tmp_path / "a b'c")})
    lines = settings.shell_exports(here, Path("/opt/my tools"))
    script = lines + 'printf "%s\\n%s" "$SKERRY_STATE" "$PATH"'
    told = process.run(["sh", "-c", script], timeout=10).stdout.splitlines()
    assert told[0] == str(here.state)
    assert "/opt/my tools" in told[1].split(":")
    assert "passphrase" in lines
    assert "PULUMI_CONFIG_PASSPHRASE=" not in lines
