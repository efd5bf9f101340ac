"""engine_snapshot: a backup is judged as a whole before anything is restored from it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

FACTS = {"federation": "f", "site": "aa", "ca_sha256": "00"}


def archive(*names):
    """Make an archive as the engines do."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 1000
            tar.addfile(info, io.BytesIO(b"x" * 1000))
    return packed.getvalue()


WHOLE = archive("meta.json", "state.bin", "SHA256SUMS")


@pytest.fixture
def snapshot(plugin):
    return plugin("library/engine_snapshot.py")


@pytest.fixture
def engines(engine):
    engine.on["GET", "/v1/snapshot"] = lambda _body: (200, WHOLE)
    engine.on["PUT", "/v1/snapshot"] = lambda _body: (200, None)
    return [{"name": "consul", "url": engine.url, "path": "/v1/snapshot",
             "token_header": "X-Consul-Token", "token": "t0ken"}]  # fmt: skip


@pytest.fixture
def act(snapshot, run, engines, tmp_path):
    def call(state, **more):
        given = {"folder": str(tmp_path / "b"), "engines": engines, "facts": FACTS}
        return run(snapshot, state=state, **{**given, **more})

    return call


def test_what_was_saved_can_be_restored(act, engine, tmp_path):
    saved = act("saved")
    restored = act("restored")

    assert saved["manifest"] == restored["manifest"]
    assert saved["manifest"]["files"]["consul.snap"]["bytes"] == len(WHOLE)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "b/consul.snap").stat().st_mode & 0o777 == 0o600
    assert engine.writes == [("PUT", "/v1/snapshot")]
    assert "t0ken" not in str(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(WHOLE[:-40], "is damaged", id="cut short"),
        pytest.param(b"not an archive", "is damaged", id="of another kind"),
        pytest.param(archive("meta.json"), "lacks SHA256SUMS, state.bin", id="with parts missing"),
    ],
)
def test_a_snapshot_that_comes_damaged_is_refused_and_gets_no_manifest(
    act, engine, tmp_path, content, message
):
    engine.on["GET", "/v1/snapshot"] = lambda _body: (200, content)

    assert message in act("saved")["msg"]
    assert not (tmp_path / "b/manifest.json").exists()


def test_an_engine_that_refuses_is_named_with_its_reason(act, engine):
    engine.on["GET", "/v1/snapshot"] = lambda _body: (403, b"Permission denied")

    assert "consul answered 403: Permission denied" in act("saved")["msg"]


def damage(folder):
    content = bytearray((folder / "consul.snap").read_bytes())
    content[100] ^= 1
    (folder / "consul.snap").write_bytes(content)


def swap(folder):
    """Another archive, whole in itself, under a manifest that fits it."""
    other = archive("meta.json")
    (folder / "consul.snap").write_bytes(other)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["consul.snap"] = {
        "bytes": len(other), "sha256": hashlib.sha256(other).hexdigest()}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(damage, "consul.snap is damaged", id="a changed bit"),
        pytest.param(lambda b: (b / "consul.snap").unlink(), "consul.snap is missing", id="a hole"),
        pytest.param(
            lambda b: (b / "manifest.json").unlink(), "this is no backup", id="no manifest"
        ),
        pytest.param(
            lambda b: (b / "manifest.json").write_text("{"),
            "this is no backup",
            id="half a manifest",
        ),
        pytest.param(swap, "consul.snap is no snapshot", id="another archive"),
    ],
)
def test_a_damaged_backup_changes_nothing(act, engine, tmp_path, spoil, message):
    act("saved")
    spoil(tmp_path / "b")

    assert message in act("restored")["msg"]
    assert engine.writes == []


def test_a_foreign_backup_changes_nothing_and_every_difference_is_named(act, engine):
    act("saved")

    message = act("restored", facts={**FACTS, "site": "bb", "ca_sha256": "11"})["msg"]

    assert "it is of site aa, not bb" in message
    assert "it is of ca_sha256 00, not 11" in message
    assert engine.writes == []


@pytest.mark.parametrize("state", ["saved", "restored"])
def test_checking_touches_neither_engine_nor_folder(act, engine, tmp_path, state):
    result = act(state, check=True)

    assert result["changed"] is True
    assert set(result["manifest"]) == {"taken_at", "files"}
    assert (engine.calls, list(tmp_path.iterdir())) == ([], [])
