"""Small parts of flows: inputs counted, restarts found, jobs submitted once, Prefect's settings."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from flows.errors import StepError
from flows.jobs.demo import page_job, run_job
from flows.join_site import count_inputs
from flows.settings import prefect_environment
from flows.steps import access
from flows.steps.https import Answer
from flows.steps.nomad import Region
from flows.steps.probes import Snapshot
from infra import settings

PL = Path(__file__).resolve().parents[2] / "fixtures" / "sites" / "pl" / "site.yaml"


def site_file(tmp_path: Path, text: str) -> settings.Settings:
    (tmp_path / "pl").mkdir()
    (tmp_path / "pl" / "site.yaml").write_text(text)
    return settings.load({"HOME": str(tmp_path), "SKERRY_INVENTORIES": str(tmp_path)})


def test_the_fourth_sites_file_has_few_inputs(tmp_path: Path) -> None:
    assert count_inputs("pl", site_file(tmp_path, PL.read_text())) == 6


def test_a_site_file_with_too_many_inputs_is_refused(tmp_path: Path) -> None:
    text = PL.read_text() + "".join(f"  more_{n}: {n}\n" for n in range(7))
    with pytest.raises(StepError, match="has 13 inputs"):
        count_inputs("pl", site_file(tmp_path, text))


def test_a_service_that_started_again_and_a_job_that_restarted_are_found() -> None:
    before = Snapshot({"a": {"nomad": "1", "vault": "2"}, "b": {"nomad": "3"}}, {"x": 0, "y": 1})
    after = Snapshot({"a": {"nomad": "1", "vault": "9"}, "b": {}}, {"x": 1, "z": 5})
    assert after.restarts_since(before) == ["a vault", "b nomad", "allocation x"]
    assert before.restarts_since(before) == []


def test_what_the_operator_set_for_prefect_stays(tmp_path: Path) -> None:
    here = settings.load({"HOME": str(tmp_path)})
    set_by_hand = {"PREFECT_LOGGING_LEVEL": "DEBUG", "OTHER": "1"}
    env = prefect_environment(here, set_by_hand, "http://x/api")
    assert env["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert env["PREFECT_API_URL"] == "http://x/api"
    assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "OTHER" not in env


class Nomad:
    """Stands where the network would be: answers what it is told, remembers what it was asked."""

    address, port = "10.0.0.1", 4646

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def request(self, method: str, path: str, *, body=None, headers=None, timeout=0) -> Answer:
        self.asked.append((method, path.split("?", maxsplit=1)[0], body and json.loads(body)))
        status, answer = self.answers.pop(0)
        return Answer(status, json.dumps(answer).encode(), {"content-type": "application/json"})


def registered(job, **more: Any) -> dict[str, Any]:
    return {"Meta": {"skerry_spec": job.digest()}, "JobModifyIndex": 7, **more}


def test_a_new_job_is_registered_only_if_nobody_else_was_quicker() -> None:
    nomad = Nomad((404, {}), (200, {}))
    assert Region("es", nomad, "t").submit(run_job("es", "oceans"))
    assert nomad.asked[1][2]["EnforceIndex"] is True
    assert nomad.asked[1][2]["JobModifyIndex"] == 0


@pytest.mark.parametrize("status", ["running", "dead"])
def test_a_batch_job_that_runs_or_ran_is_not_submitted_again(status: str) -> None:
    job = run_job("es", "oceans")
    nomad = Nomad((200, registered(job, Status=status)))
    assert not Region("es", nomad, "t").submit(job)
    assert len(nomad.asked) == 1


def test_a_job_that_changed_or_a_service_that_ended_is_submitted_again() -> None:
    page = page_job("es", "oceans", "skerry.test")
    for there in (registered(page, Status="dead"), {"JobModifyIndex": 7}, registered(page, Stop=1)):
        nomad = Nomad((200, there), (200, {}))
        assert Region("es", nomad, "t").submit(page)
        assert nomad.asked[1][2]["JobModifyIndex"] == 7


def test_of_two_runs_that_submit_at_once_the_second_finds_the_job_there() -> None:
    job = run_job("es", "oceans")
    nomad = Nomad((404, {}), (500, "job index mismatch"), (200, registered(job, Status="pending")))
    assert not Region("es", nomad, "t").submit(job)


def test_a_refusal_of_nomad_is_told_with_region_and_status() -> None:
    with pytest.raises(StepError, match=r"region es at 10\.0\.0\.1:4646 answered 403"):
        Region("es", Nomad((403, "Permission denied")), "t").call("GET", "/v1/nodes")


def test_what_a_shell_is_told_names_files_and_no_secret(tmp_path: Path) -> None:
    here = settings.load({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    binary = tmp_path / "bin" / "engine"
    binary.parent.mkdir()
    binary.touch(mode=0o755)
    manifest = {name: {"path": str(binary)} for name in ("nomad", "consul", "vault")}
    here.tools_manifest.parent.mkdir(parents=True)
    here.tools_manifest.write_text(json.dumps(manifest))
    keys = access.SiteAccess("es", tmp_path / "o'dd", "10.0.0.1", "10.0.0.2")
    keys.folder.mkdir()
    keys.nomad_token.write_text("very-secret\n")
    text = access.shell_exports(keys, here)
    assert "very-secret" not in text
    got = os.popen(f'{text}printf %s "$NOMAD_ADDR $NOMAD_TOKEN"').read()
    assert got == "https://10.0.0.1:4646 very-secret"
