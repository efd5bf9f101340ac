"""Every acceptance check: id, what it shows, how."""

from __future__ import annotations

from flows.acceptance.checks import formation
from flows.acceptance.model import Check

CHECKS: tuple[Check, ...] = (
    Check("F1", "every server sees every server alive", formation.f1_members),
    Check("F2", "every region is healthy and can lose what its size allows", formation.f2_autopilot),
    Check("F3", "requests for a region are forwarded from every other", formation.f3_forwarding),
    Check("F4", "every worker is ready and eligible, and nobody else", formation.f4_nodes),
    Check("F5", "datacenters see each other, one leader each", formation.f5_consul),
    Check("F6", "tokens replicate within 5 s", formation.f6_replication, federated=True),
    Check("F8", "communities' objects are alike in all regions", formation.f8_same_objects),
)
