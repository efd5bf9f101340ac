"""engine_secrets: what is missing is made, what is there is kept, nobody's values are lost."""

from __future__ import annotations

import base64
import uuid

import pytest

PATH = "/v1/kv/data/sites/x/engines"


@pytest.fixture
def secrets(plugin):
    return plugin("library/engine_secrets.py")


def test_missing_secrets_are_made_in_their_kinds(secrets, run, engine):
    result = run(secrets, url=engine.url, path=PATH,
                 want={"id": "uuid", "key": "key32", "two": "pair"})  # fmt: skip

    values = result["values"]
    assert result["changed"] is True
    assert str(uuid.UUID(values["id"])) == values["id"]
    assert len(base64.b64decode(values["key"])) == 32
    assert set(values["two"]) == {"accessor", "secret"}
    assert engine.objects[PATH] == {"data": values, "options": {"cas": 0}}


def test_what_is_there_is_never_changed(secrets, run, engine):
    engine.objects[PATH] = {"data": {"data": {"id": "mine", "else": 1}, "metadata": {"version": 7}}}

    kept = run(secrets, url=engine.url, path=PATH, want={"id": "uuid"})
    more = run(secrets, url=engine.url, path=PATH, want={"id": "uuid", "key": "key32"})

    assert (kept["changed"], kept["values"]) == (False, {"id": "mine", "else": 1})
    assert (more["values"]["id"], more["values"]["else"]) == ("mine", 1)
    assert engine.calls[-1][2]["options"] == {"cas": 7}


def test_a_write_that_comes_between_is_an_error_and_not_overwritten(secrets, run, engine):
    engine.on["POST", PATH] = lambda _body: (
        400,
        {"errors": ["check-and-set parameter did not match"]},
    )

    result = run(secrets, url=engine.url, path=PATH, want={"id": "uuid"})

    assert result["failed"] is True
    assert "check-and-set" in result["msg"]


def test_check_mode_makes_values_for_the_run_and_writes_none(secrets, run, engine):
    result = run(secrets, check=True, url=engine.url, path=PATH, want={"id": "uuid"})

    assert result["changed"] is True
    assert engine.writes == []


def test_an_unknown_kind_is_refused_before_anything_is_asked(secrets, run, engine):
    result = run(secrets, url=engine.url, path=PATH, want={"id": "password"})

    assert result["failed"] is True
    assert "['password']" in result["msg"]
    assert engine.calls == []
