"""The demo's work on one site: a job that ends, and a page through the site's edge."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from flows.errors import StepError
from flows.jobs.demo import page_host, page_job, run_job
from flows.steps import access, remote
from flows.steps.https import Endpoint, trust
from flows.steps.nomad import Region
from infra.settings import Settings

JOB_S = 120.0
PAGE_S = 60.0
_OK = 200
_PAUSE_S = 0.5
_WHERE = "/cgi-bin/where"


@dataclass(frozen=True)
class WorkResult:
    """What came of the work; `url` is empty for a site without an edge."""

    site: str
    community: str
    said: str
    node: str
    url: str
    edge_address: str

    def facts(self) -> dict[str, str]:
        """The same as plain values."""
        return asdict(self)


def run(site: str, settings: Settings, *, tell: Callable[[str], None] | None = None) -> WorkResult:
    """Submit both jobs unless they are there, wait for them, fetch the page; raises StepError."""
    keys = access.fetch(site, settings)
    variables = remote.inventory(site, settings).site_group.vars
    if not variables.fed_communities:
        raise StepError(
            f"no community may work on the site {site}",
            where=str(settings.inventories / site / "site.yaml"),
            remedy="list one below inputs.communities",
        )
    community = variables.fed_communities[0]
    region = Region(site, keys.nomad, keys.community_token(community))
    ends, page = run_job(site, community), page_job(site, community, variables.fed_domain)
    edges = [edge for edge in variables.fed_edges if edge.wide_area_address is not None]
    region.submit(ends)
    if edges:
        region.submit(page)
    ended = region.await_job(ends, timeout=JOB_S, tell=tell)
    said = region.output(ended, community).strip() or f"complete on {ended.node}, output lost"
    if not edges:
        return WorkResult(site, community, said, ended.node, "", "")
    region.await_job(page, timeout=JOB_S, tell=tell)
    address = str(edges[0].wide_area_address)
    if tell is not None:
        tell("page: waiting for the edge")
    await_page(edge_of(site, settings), site)
    url = f"https://{page_host(site, variables.fed_domain)}/"
    return WorkResult(site, community, said, ended.node, url, address)


def edge_of(site: str, settings: Settings) -> Endpoint:
    """The page of a site at the wide-area address of its first edge.

    The edge must show a certificate of the federation's authority (`access.fetch` brought it).
    """
    variables = remote.inventory(site, settings).site_group.vars
    ca = access.folder(variables.fed_name, settings) / site / "ca.pem"
    address = str(variables.fed_edges[0].wide_area_address)
    return Endpoint(address, 443, page_host(site, variables.fed_domain), trust(ca))


def await_page(edge: Endpoint, site: str, *, timeout: float = PAGE_S) -> None:
    """Wait until the page comes through the edge and was served in this site; raises StepError."""
    deadline = time.monotonic() + timeout
    last = "nothing"
    while time.monotonic() < deadline:
        try:
            answer = edge.request("GET", _WHERE, timeout=10)
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        else:
            text = answer.body.decode(errors="replace")
            if answer.status == _OK and f"site: {site}\n" in text:
                return
            last = f"status {answer.status}: {text.strip()[:200]}"
        time.sleep(_PAUSE_S)
    raise StepError(
        f"the page of {site} did not come through its edge within {timeout:g} s; last: {last}",
        where=f"https://{edge.server_name}{_WHERE} at {edge.address}",
        remedy="see `journalctl -u traefik` on the edge, and `consul catalog services`",
    )
