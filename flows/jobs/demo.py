"""The work with which a site shows that it works: one job that ends, one page that stays."""

from __future__ import annotations

from flows.jobs.model import Container, Job, JobType, Service

IMAGE = "skerry/hello:1"
RUN = "demo-run"
PAGE = "demo-page"
PROBE_PREFIX = "join-probe-"


def run_job(site: str, community: str) -> Job:
    """A job that says where it ran and ends."""
    return Job(
        id=RUN,
        region=site,
        community=community,
        type=JobType.BATCH,
        container=Container(
            image=IMAGE,
            command="sh",
            arguments=(
                "-c",
                # Nomad attaches to the output after the start: what ends at once may be lost.
                'echo "ran in $NOMAD_REGION for $NOMAD_NAMESPACE on $(cat /etc/hostname)"; sleep 1',
            ),
        ),
    )


def page_job(site: str, community: str, domain: str) -> Job:
    """A web page that the site's edge publishes."""
    return Job(
        id=PAGE,
        region=site,
        community=community,
        type=JobType.SERVICE,
        container=Container(image=IMAGE),
        service=Service(port=8080, host=page_host(site, domain), health_path="/index.html"),
    )


def probe_job(site: str, community: str, number: int) -> Job:
    """The smallest job there is: shows that a region takes work at this moment."""
    return Job(
        id=f"{PROBE_PREFIX}{number}",
        region=site,
        community=community,
        type=JobType.BATCH,
        container=Container(image=IMAGE, command="echo", arguments=("here",)),
    )


def page_host(site: str, domain: str) -> str:
    """The name under which the page of a site is published."""
    return f"{PAGE}.{site}.{domain}"
