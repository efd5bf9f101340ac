"""engine_objects: what counts as a difference, and that only differences are written."""

from __future__ import annotations

import pytest


@pytest.fixture
def objects(plugin):
    return plugin("library/engine_objects.py")


@pytest.mark.parametrize(
    ("want", "have", "expected"),
    [
        pytest.param({}, {"a": 1}, False, id="nothing is wanted"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, False, id="keys that are not wanted do not count"),
        pytest.param({"a": 1}, {"b": 2}, True, id="a key is missing"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, True, id="a value deep inside differs"),
        pytest.param({"a": 1}, {"a": "1"}, False, id="an engine writes numbers as text"),
        pytest.param({"a": "x\n"}, {"a": "x"}, False, id="an engine trims newlines"),
        pytest.param({"a": True}, {"a": False}, True, id="a switch differs"),
        pytest.param({"a": []}, {"a": None}, False, id="an engine writes no list as null"),
        pytest.param({"a": [1, 2]}, {"a": [1, 2]}, False, id="lists agree"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, True, id="a list has more than is wanted"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, True, id="order counts"),
        pytest.param({"a": {}}, {"a": None}, False, id="an engine writes no mapping as null"),
        pytest.param({"a": {"b": 1}}, {"a": "x"}, True, id="a mapping is wanted, text is there"),
        pytest.param({"a": None}, {"a": 1}, True, id="a key that must be gone is there"),
        pytest.param({"a": None}, {"b": 1}, False, id="a key that must be gone is gone"),
    ],
)
def test_a_difference_is_what_is_wanted_and_not_there(objects, want, have, expected):
    assert objects.differs(want, have) is expected


def one(**entry):
    return [{"name": "thing", "path": "/v1/thing", **entry}]


def test_an_object_that_is_missing_is_written_once(objects, run, engine):
    first = run(objects, url=engine.url, objects=one(want={"a": 1}))
    second = run(objects, url=engine.url, objects=one(want={"a": 1}))

    assert (first["changed"], first["changed_objects"]) == (True, ["thing"])
    assert second["changed"] is False
    assert engine.writes == [("POST", "/v1/thing")]


def test_an_object_is_read_where_it_is_and_written_where_it_is_made(objects, run, engine):
    engine.objects["/v1/all"] = {"data": {"mine/": {"type": "pki"}}}
    entry = one(path="/v1/all", at="data.mine/", want={"type": "kv"}, write_path="/v1/all/mine",
                method="PUT", body={"type": "kv", "more": 1})  # fmt: skip

    assert run(objects, url=engine.url, objects=entry)["changed"] is True
    assert engine.calls[-1] == ("PUT", "/v1/all/mine", {"type": "kv", "more": 1})


def test_an_object_that_the_engine_named_is_updated_under_that_name(objects, run, engine):
    entry = one(path="/v1/policy/name/x", want={"Rules": "new"}, write_path="/v1/policy",
                update_path="/v1/policy/{ID}", method="PUT")  # fmt: skip
    created = run(objects, url=engine.url, objects=entry)
    engine.objects["/v1/policy/name/x"] = {"ID": "1234", "Rules": "old"}
    updated = run(objects, url=engine.url, objects=entry)

    assert (created["changed"], updated["changed"]) == (True, True)
    assert engine.writes == [("PUT", "/v1/policy"), ("PUT", "/v1/policy/1234")]


def test_an_object_to_be_created_is_left_alone_when_it_is_there(objects, run, engine):
    engine.objects["/v1/thing"] = {"a": "of its own"}

    result = run(objects, url=engine.url, objects=one(state="created", want={"a": 1}))

    assert result["changed"] is False
    assert engine.writes == []


def test_an_object_to_be_absent_is_deleted_once(objects, run, engine):
    engine.objects["/v1/thing"] = {}

    assert run(objects, url=engine.url, objects=one(state="absent"))["changed"] is True
    assert run(objects, url=engine.url, objects=one(state="absent"))["changed"] is False
    assert engine.writes == [("DELETE", "/v1/thing")]


@pytest.mark.parametrize("state", ["present", "created", "absent"])
def test_check_mode_says_the_same_and_writes_nothing(objects, run, engine, state):
    if state == "absent":
        engine.objects["/v1/thing"] = {}

    result = run(objects, check=True, url=engine.url, objects=one(state=state, want={"a": 1}))

    assert result["changed"] is True
    assert result["diff"] == {"before": "", "after": "thing\n"}
    assert engine.writes == []


def test_a_refusal_names_the_object_and_what_was_changed_before_it(objects, run, engine):
    engine.on["POST", "/v1/bad"] = lambda _body: (400, {"errors": ["no"]})
    entries = [*one(want={"a": 1}), {"name": "bad one", "path": "/v1/bad", "want": {"a": 1}}]

    result = run(objects, url=engine.url, objects=entries)

    assert result["failed"] is True
    assert result["msg"].startswith("bad one: POST /v1/bad")
    assert result["changed_objects"] == ["thing"]


def test_the_token_is_not_in_the_answer(objects, run, engine):
    result = run(objects, url=engine.url, token="s3cret-token", objects=one(want={"a": 1}))

    assert "s3cret-token" not in str(result)
