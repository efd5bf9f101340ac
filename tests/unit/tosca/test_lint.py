"""Each warning has a template that earns it and one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tosca.check import Result

TYPES = """\
artifact_types:
  tosca.artifacts.AnsibleGalaxy.role: {derived_from: tosca.artifacts.Root}
node_types:
  example.FrontEnd.Cluster:
    derived_from: tosca.nodes.Root
    properties:
      version: {type: version, default: '1.30.1'}
      users: {type: integer, default: 1}
    interfaces:
      Standard:
        configure:
          implementation: install.yml
          inputs: {version: {get_property: [SELF, version]}}
  example.Worker.Cluster:
    derived_from: example.FrontEnd.Cluster
topology_template:
"""
DOCKER = "tosca.artifacts.Deployment.Image.Container.Docker"
NODE = "  node_templates:\n    one: {type: example.FrontEnd.Cluster, %s}\n"
CASES = {
    "literal-secret": (
        "  inputs:\n    admin_password: {type: string, default: letmein}\n",
        "  inputs:\n    admin_password: {type: string, default: 'random(12)'}\n",
    ),
    "version-skew": (
        NODE % "properties: {version: 1.30.1}"
        + "    two: {type: example.Worker.Cluster, properties: {version: 1.26.9}}\n",
        NODE % "properties: {version: 1.30.1}"
        + "    two: {type: example.Worker.Cluster, properties: {version: 1.27.0}}\n",
    ),
    "unwired-property": (
        NODE % "properties: {users: 5}",
        NODE % "properties: {version: 1.31.0}",
    ),
    "unpinned-role": (
        NODE % "artifacts: {r: {file: 'a.role,main', type: tosca.artifacts.AnsibleGalaxy.role}}",
        NODE % "artifacts: {r: {file: 'a.role,1.2.0', type: tosca.artifacts.AnsibleGalaxy.role}}",
    ),
    "url-implementation": (
        NODE % "interfaces: {Standard: {configure: 'https://example.org/x.yml'}}",
        NODE % "interfaces: {Standard: {configure: x.yml}}",
    ),
    "latest-image": (
        NODE % f"artifacts: {{i: {{file: example/app, type: {DOCKER}}}}}",
        NODE % f"artifacts: {{i: {{file: 'example/app:1', type: {DOCKER}}}}}",
    ),
    "index-range": (
        (
            "  node_templates:\n    one: {type: Compute}\n"
            "  outputs:\n    o: {value: {get_attribute: [one, networks, a, addresses, 8080]}}\n"
        ),
        (
            "  node_templates:\n    one: {type: Compute}\n"
            "  outputs:\n    o: {value: {get_attribute: [one, networks, a, addresses, 2]}}\n"
        ),
    ),
    "coercion": (
        "  inputs:\n    a: {type: integer, default: '4'}\n",
        "  inputs:\n    a: {type: integer, default: 4}\n",
    ),
    "constraint-map": (
        "  inputs:\n    a: {type: integer, default: 4, constraints: {in_range: [1, 4]}}\n",
        "  inputs:\n    a: {type: integer, default: 4, constraints: [{in_range: [1, 4]}]}\n",
    ),
    "missing-unit": (
        (
            "  inputs:\n    a: {type: integer, default: 4}\n  node_templates:\n"
            "    one: {type: BlockStorage, properties: {size: {get_input: a}}}\n"
        ),
        (
            "  inputs:\n    a: {type: scalar-unit.size, default: 4 GB}\n  node_templates:\n"
            "    one: {type: BlockStorage, properties: {size: {get_input: a}}}\n"
        ),
    ),
    "open-requirement": (
        "  node_templates:\n    one: {type: SoftwareComponent}\n",
        (
            "  node_templates:\n    one: {type: SoftwareComponent, requirements: [{host: two}]}\n"
            "    two: {type: Compute}\n"
        ),
    ),
    "redefined-type": (
        "  inputs: {}\npolicy_types:\n  tosca.policies.Update: {}\n",
        "  inputs: {}\npolicy_types:\n  example.policies.Update: {}\n",
    ),
    "not-checked": ("  workflows: {a: {}}\n", "  groups: {}\n"),
}


@pytest.mark.parametrize("code", CASES)
def test_a_warning_comes_with_the_defect_and_goes_with_it(
    code: str, check_text: Callable[[str], Result]
) -> None:
    earned, clean = CASES[code]
    result = check_text(TYPES + earned)
    assert result.errors == ()
    assert [code] == [warning.code for warning in result.warnings]
    assert all(warning.location.line > 1 for warning in result.warnings)
    assert (check_text(TYPES + clean).errors, check_text(TYPES + clean).warnings) == ((), ())
