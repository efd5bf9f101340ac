"""Jobs as typed values: what they render to, and what cannot be said."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.jobs import Container, Job, JobType, Service
from flows.jobs.demo import page_job, probe_job, run_job
from flows.jobs.model import canonical

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "jobs"


@pytest.mark.parametrize(
    "job",
    [run_job("es", "oceans"), page_job("es", "oceans", "skerry.test")],
    ids=lambda job: job.id,
)
def test_a_demo_job_renders_to_its_golden_file(job: Job) -> None:
    assert canonical(job) == (FIXTURES / f"{job.id}.json").read_text()


def test_equal_jobs_have_one_digest_and_others_another() -> None:
    assert run_job("es", "oceans").digest() == run_job("es", "oceans").digest()
    assert run_job("es", "oceans").digest() != run_job("es", "forests").digest()
    assert probe_job("es", "oceans", 1).digest() != probe_job("es", "oceans", 2).digest()


def test_a_rendered_job_asks_for_nothing_of_its_host() -> None:
    text = json.dumps(page_job("es", "oceans", "skerry.test").render())
    for word in ("privileged", "volumes", "host_path", "raw_exec", "network_mode", "devices"):
        assert word not in text


def test_a_service_without_a_public_name_is_not_published() -> None:
    job = Job(
        id="inner",
        region="es",
        community="oceans",
        type=JobType.SERVICE,
        container=Container(image="a:1"),
        service=Service(port=80),
    )
    assert job.render()["TaskGroups"][0]["Services"][0]["Tags"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Capital"),
        ("id", "dot.dot"),
        ("id", ""),
        ("region", "e s"),
        ("community", "../oceans"),
        ("attempts", -1),
        ("unknown", 1),
    ],
)
def test_a_job_with_bad_values_cannot_be_made(field: str, value: object) -> None:
    good = run_job("es", "oceans").model_dump()
    with pytest.raises(ValidationError):
        Job(**{**good, field: value})


@pytest.mark.parametrize("bad", [{"cpu_mhz": 1}, {"memory_mib": 0}, {"privileged": True}])
def test_a_container_with_bad_values_cannot_be_made(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Container(image="a:1", **bad)
