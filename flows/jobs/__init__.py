"""Work for Nomad as typed values, rendered to the JSON that its API takes (design D6).

Knows nothing of Prefect, Pulumi or the network.
"""

from flows.jobs.model import Container, Job, JobType, Service

__all__ = ["Container", "Job", "JobType", "Service"]
