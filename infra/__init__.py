"""Machines and networks as code: provider adapters, Pulumi components and programs, inventories.

Knows `tosca` below it and nothing of `flows` above it. Runs no engine: the Pulumi engine runs
`infra.programs`, and whoever starts that engine is `flows.steps.pulumi`.
"""
