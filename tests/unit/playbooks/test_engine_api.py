"""engine_api: what is tried again, what is final, and what the error says."""

from __future__ import annotations

import itertools

import pytest


def test_a_call_goes_out_with_the_token_in_the_engines_header_and_comes_back_decoded(
    engine_api, engine
):
    engine.objects["/v1/x"] = {"a": 1}

    api = engine_api.Api(engine.url, token="t0ken", token_header="X-Nomad-Token")

    assert api.call("GET", "/v1/x") == (200, {"a": 1})
    assert engine.headers[0]["X-Nomad-Token"] == "t0ken"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_engine_that_is_not_ready_is_asked_again(engine_api, engine, status):
    engine.faults = [(status, {"errors": ["wait"]}), (status, b"wait")]
    engine.objects["/v1/x"] = 1

    assert engine_api.Api(engine.url).call("GET", "/v1/x") == (200, 1)
    assert len(engine.calls) == 3


@pytest.mark.parametrize("status", [400, 403, 405])
def test_a_refusal_is_final_and_its_reason_is_kept(engine_api, engine, status):
    engine.faults = [(status, {"errors": ["no such role", "ask somebody"]})]

    with pytest.raises(engine_api.ApiError) as error:
        engine_api.Api(engine.url).call("PUT", "/v1/x", {})

    assert f"PUT /v1/x at {engine.url.removeprefix('unix://')} answered {status}" in str(
        error.value
    )
    assert "no such role; ask somebody" in str(error.value)
    assert len(engine.calls) == 1


def test_an_answer_that_is_text_is_given_as_text(engine_api, engine):
    engine.faults = [(200, b"127.0.0.1:8300\n")]

    assert engine_api.Api(engine.url).call("GET", "/v1/x") == (200, "127.0.0.1:8300")


def test_an_empty_answer_is_none(engine_api, engine):
    assert engine_api.Api(engine.url).call("PUT", "/v1/x", {}) == (204, None)


def test_a_missing_object_is_an_answer_only_where_it_may_be_missing(engine_api, engine):
    api = engine_api.Api(engine.url)

    assert api.call("GET", "/v1/none", missing_ok=True) == (404, None)
    with pytest.raises(engine_api.ApiError, match="answered 404"):
        api.call("GET", "/v1/none")


def test_an_engines_own_words_for_missing_count_as_missing_and_are_not_tried_again(
    engine_api, engine
):
    engine.faults = [(500, b"ACL token not found")]

    assert engine_api.Api(engine.url).call("GET", "/v1/x", missing_ok=True) == (404, None)
    assert len(engine.calls) == 1


def test_an_engine_that_cannot_be_reached_is_given_up_after_its_time(
    engine_api, tmp_path, monkeypatch
):
    ticks = itertools.count(0, 10)
    monkeypatch.setattr(engine_api.time, "monotonic", lambda: next(ticks))
    api = engine_api.Api(f"unix://{tmp_path}/none", retry_s=45)

    with pytest.raises(engine_api.ApiError, match=r"not reached: .*No such file"):
        api.call("GET", "/v1/x")

    assert next(ticks) == 60


def test_pauses_grow_and_end_at_four_seconds(engine_api, engine, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(engine_api.time, "sleep", pauses.append)
    monkeypatch.setattr(engine_api.random, "uniform", lambda _low, _high: 1.0)
    engine.faults = [(503, None)] * 7
    engine.objects["/v1/x"] = 1

    engine_api.Api(engine.url).call("GET", "/v1/x")

    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_certificate_of_another_authority_is_refused(
    engine_api, tls_server, authority, new_authority
):
    tls_server("127.77.0.2", 18200, lambda _request, _raw: (200, b"{}"))

    known = engine_api.Api("https://127.77.0.2:18200", ca_cert=str(authority.ca), retry_s=0)
    other = engine_api.Api(
        "https://127.77.0.2:18200", ca_cert=str(new_authority("other").ca), retry_s=0
    )

    assert known.call("GET", "/") == (200, {})
    with pytest.raises(engine_api.ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        other.call("GET", "/")
