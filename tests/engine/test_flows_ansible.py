"""Real playbooks on this machine: what they do well and badly comes back typed."""

from pathlib import Path

import pytest

from flows.errors import HostUnreachableError, StepError
from flows.steps import ansible
from infra import settings

INVENTORY = """\
all:
  hosts:
    here: {{ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}}
{more}
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a playbook given as text on this machine; `more` are further hosts."""
    here = settings.load(
        {
            "HOME": str(Path.home()),
            "SKERRY_STATE": str(tmp_path / "state"),
            "SKERRY_INVENTORIES": str(tmp_path / "inventories"),
        }
    )
    monkeypatch.setattr(ansible, "PLAYBOOKS", tmp_path)
    monkeypatch.setenv("ANSIBLE_BECOME", "false")
    (tmp_path / "inventories" / "aa").mkdir(parents=True)

    def run(text: str, *, more: str = "", tell=None, timeout: float = 120):
        (tmp_path / "inventories" / "aa" / "hosts.yml").write_text(INVENTORY.format(more=more))
        (tmp_path / "probe.yml").write_text(text)
        return ansible.play("probe", ["aa"], here, tell=tell, timeout=timeout)

    return run


def test_a_playbook_tells_its_plays_and_tasks_and_ends_with_numbers_per_host(play) -> None:
    told: list[str] = []
    result = play(
        """
- name: First
  hosts: all
  become: false
  tasks:
    - {name: Look, ansible.builtin.command: "true", changed_when: false}
- name: Second
  hosts: all
  become: false
  tasks:
    - {name: Touch, ansible.builtin.command: "true", changed_when: true}
""",
        tell=told.append,
    )
    assert result.hosts == {"here": ansible.HostResult(ok=2, changed=1)}
    assert result.changed == 1
    assert told == ["1/2 First", "1/2 First: Look", "2/2 Second", "2/2 Second: Touch"]


@pytest.mark.parametrize("strategy", ["mitogen_linear", "linear"])
def test_a_refusal_is_told_in_the_playbooks_own_words(play, monkeypatch, strategy: str) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", strategy)
    with pytest.raises(StepError) as caught:
        play(
            """
- name: Refuse
  hosts: all
  become: false
  tasks:
    - name: Look at the moon
      ansible.builtin.assert: {that: false, quiet: true, fail_msg: "The moon is not full."}
"""
        )
    assert caught.value.what == "here: Look at the moon\n    The moon is not full."
    assert "probe.log" in caught.value.where
    assert len(str(caught.value).splitlines()) == 4


def test_a_failure_that_was_rescued_is_none(play) -> None:
    result = play(
        """
- name: Try
  hosts: all
  become: false
  tasks:
    - name: Try it
      block:
        - {name: Fail, ansible.builtin.fail: {msg: no}}
      rescue:
        - {name: Mend, ansible.builtin.command: "true", changed_when: false}
"""
    )
    assert result.hosts["here"].rescued == 1


def test_a_host_that_cannot_be_reached_is_an_error_of_its_own(play) -> None:
    with pytest.raises(HostUnreachableError, match="cannot log in to gone"):
        play(
            """
- name: Ask
  hosts: gone
  become: false
  gather_facts: false
  tasks:
    - {name: Look, ansible.builtin.command: "true", changed_when: false}
""",
            more="    gone: {ansible_host: 127.0.0.1, ansible_port: 1}",
        )


def test_a_playbook_that_takes_too_long_is_stopped_and_says_where_it_was(play) -> None:
    with pytest.raises(StepError, match=r"did not finish within 8 s.*it was at: Wait: Sleep"):
        play(
            """
- name: Wait
  hosts: all
  become: false
  tasks:
    - {name: Sleep, ansible.builtin.command: sleep 60, changed_when: false}
""",
            timeout=8,
        )


def test_a_broken_playbook_is_told_without_pages_of_noise(play) -> None:
    with pytest.raises(StepError) as caught:
        play("- hosts: all\n  tasks:\n    - no.such.module: {}\n")
    assert "no.such.module" in caught.value.what
    assert len(str(caught.value).splitlines()) < 15
