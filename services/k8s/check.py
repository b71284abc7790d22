"""Check: all that is looked at in an overlay, in order."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from services.k8s import (
    addresses,
    commands,
    environment,
    lag,
    policies,
    references,
    safety,
    selectors,
    serving,
)
from services.k8s.commands import Refusal
from services.k8s.documents import Check, Document, Overlay, Problem
from services.k8s.structure import structure

CHECKS: Final[Sequence[Check]] = (
    references.references,
    references.volumes,
    selectors.own_pods,
    selectors.service_targets,
    selectors.probes,
    selectors.pod_selectors,
    selectors.budgets,
    selectors.service_monitors,
    environment.settings,
    commands.needs,
    commands.listening,
    commands.answered,
    addresses.addresses,
    addresses.landers,
    lag.lag,
    lag.partitions,
    lag.replicas,
    serving.serving,
    policies.deny_first,
    policies.closed,
    safety.security,
    safety.service_links,
    safety.images,
    safety.requests,
    safety.grace,
    safety.restarts,
    safety.scratch,
    safety.lake,
    safety.stores,
)
"""What documents say of each other, of the code and of the settings."""


def check(documents: list[Document], refusal: Refusal) -> list[Problem]:
    """What is wrong with the documents of an overlay.

    They are compared with each other only once each is right by itself: before that, what is read
    of one may be anything.

    Args:
        documents: as rendered.
        refusal: what the command line says of words that it refuses.
    """
    if problems := [problem for one in documents for problem in structure(one)]:
        return problems
    overlay = Overlay.of(documents)
    every: list[Check] = [*CHECKS, partial(commands.commands, refusal=refusal)]
    return [problem for one in every for problem in one(overlay)]
