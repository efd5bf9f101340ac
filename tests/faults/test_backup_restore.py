"""Sites that lost their servers come back from a backup, on the running demo federation."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest

from flows import acceptance
from flows.errors import StepError
from flows.jobs.demo import page_job, run_job
from flows.steps import access, ansible, probes, remote, sites, work
from flows.steps.nomad import Region
from infra import settings as infra_settings

SITE, OTHERS = "sk", ("es", "pt")
# A server that came back empty hears of the others in their next full exchange, each minute.
GOSSIP_S = 240.0


@pytest.fixture(scope="module")
def here():
    found = infra_settings.load()
    names = {site for site in (SITE, *OTHERS) if (found.inventories / site / "hosts.yml").is_file()}
    assert names == {SITE, *OTHERS}, "the demo federation is not there: run `make demo`"
    return found


@pytest.fixture(scope="module")
def backup(here):
    """The newest backup folder of the site, with a job and a page running when it was taken."""
    work.run(SITE, here)
    ansible.play("backup", [SITE], here)
    federation = sites.federation(here).name
    folder = here.state / "backups" / federation / SITE
    return max(path.parent for path in folder.glob("*/manifest.json"))


def manager(here) -> Region:
    keys = access.fetch(SITE, here)
    return Region(SITE, keys.nomad, keys.nomad_token.read_text().strip())


def facts(here) -> dict[str, object]:
    """What a region must still have after a restore."""
    region = manager(here)
    community = remote.inventory(SITE, here).site_group.vars.fed_communities[0]
    domain = remote.inventory(SITE, here).site_group.vars.fed_domain
    jobs = (run_job(SITE, community), page_job(SITE, community, domain))
    return {
        "jobs": sorted(one["ID"] for one in region.call("GET", "/v1/jobs", namespace="*")),
        "tokens": sorted(one["AccessorID"] for one in region.call("GET", "/v1/acl/tokens")),
        "namespaces": sorted(one["Name"] for one in region.call("GET", "/v1/namespaces")),
        "allocations": sorted(one.id for job in jobs for one in region.allocations(job)),
    }


def refused(folder, here) -> str:
    """The message with which a restore from `folder` is refused."""
    with pytest.raises(StepError) as error:
        ansible.play("restore-site", [SITE], here, values={"backup": str(folder)})
    return str(error.value)


def test_a_backup_says_what_it_holds_and_only_its_owner_reads_it(backup):
    manifest = json.loads((backup / "manifest.json").read_text())
    assert {"consul.snap", "nomad.snap"} == set(manifest["files"])
    assert manifest["site"] == SITE
    assert all(file["bytes"] > 1000 for file in manifest["files"].values())
    assert {oct(path.stat().st_mode & 0o077) for path in [backup, *backup.iterdir()]} == {"0o0"}


def test_a_damaged_backup_is_refused_before_anything_is_changed(backup, here, tmp_path):
    copy = shutil.copytree(backup, tmp_path / "damaged")
    snapshot = copy / "nomad.snap"
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 0xFF
    snapshot.write_bytes(content)
    before = facts(here)
    assert "nomad.snap is damaged" in refused(copy, here)
    assert before == facts(here)


def test_a_backup_of_another_site_is_refused(backup, here, tmp_path):
    copy = shutil.copytree(backup, tmp_path / "foreign")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "site": "es"}))
    assert "is foreign: its site is es, here it is sk" in refused(copy, here)


def wipe(site: str, here) -> None:
    """Remove a site's servers with their disks, and have Pulumi make new ones."""
    federation = sites.federation(here).name
    for server in remote.inventory(site, here).site_group.vars.fed_servers:
        subprocess.run(
            ["docker", "rm", "--force", "--volumes", f"{federation}-{server.name}"],
            check=True,
            capture_output=True,
            timeout=120,
        )
        volume = f"{federation}-{server.name}-docker"
        subprocess.run(
            ["docker", "volume", "rm", volume], check=False, capture_output=True, timeout=60
        )
    sites.bring_up(site, here)
    sites.write_inventory(site, here)


def test_a_region_whose_servers_lost_their_disks_has_the_same_jobs_and_tokens_again(backup, here):
    del backup
    watched = [probes.watch(site, here) for site in OTHERS]
    elsewhere = probes.snapshot(watched, here)
    before = facts(here)
    wipe(SITE, here)
    token = sites.admit(SITE, here)
    assert token is not None, "the wiped server cannot have kept the site's credential"
    ansible.play("restore-site", [SITE], here, values={"join_token_file": str(token)})
    assert before == facts(here)
    work.await_page(work.edge_of(SITE, here), SITE)
    assert probes.snapshot(watched, here).restarts_since(elsewhere) == []


def test_a_control_site_that_lost_its_disk_is_the_same_root_of_trust_again(here):
    control = sites.federation(here).control_site
    ansible.play("backup", [control], here)
    fingerprint = here.state / f"federation-{sites.federation(here).name}.sha256"
    root = fingerprint.read_text()
    watched = [probes.watch(site, here) for site in (SITE, *OTHERS)]
    elsewhere = probes.snapshot(watched, here)
    wipe(control, here)
    ansible.play("restore-site", [control], here)
    assert fingerprint.read_text() == root
    assert probes.snapshot(watched, here).restarts_since(elsewhere) == []
    # The sites log in as before, their certificates are of this root, nothing is to be changed.
    for site in (SITE, *OTHERS):
        assert ansible.play("deploy-site", [site], here).changed == 0
        work.await_page(work.edge_of(site, here), site)
    deadline = time.monotonic() + GOSSIP_S
    while not acceptance.run(here.inventories, only={"F5"})[0].passed:
        assert time.monotonic() < deadline, "the datacenters did not find the control site again"
        time.sleep(5)
    found = acceptance.run(here.inventories, only={"F3", "F5", "F6", "F8", "N8", "W6"})
    assert [f"{one.id}: {one.detail}" for one in found if not one.passed] == []
