"""Every effect of a version that is worth an estimate, estimated once and kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.effects.effect import effect
from cogorch_dagster.causal.insights import effect_store
from cogorch_dagster.causal.insights.questions import questions
from cogorch_dagster.causal.versions import datasets, store
from cogorch_dagster.causal.versions.version import CausalVersion
from cogorch_dagster.errors import InvalidInput, Refused
from cogorch_dagster.platform.database import transaction
from cogorch_dagster.settings import Settings

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Estimated:
    """How many effects were estimated now, and the documents of all."""

    added: int
    documents: list[dict[str, Any]]


def estimate_effects(settings: Settings, version: CausalVersion, *, progress: Progress | None = None) -> Estimated:
    """Estimate the effects of a version that are not kept yet, each kept as soon as it is there.

    Raises:
        Refused: the version is gone, or its data set is missing or damaged.
    """
    asked = questions(version)
    with transaction(settings) as connection:
        done = effect_store.known(connection, version.digest)
    left = [pair for pair in asked if pair not in done]
    if left:
        dataset = datasets.load(settings, version.dataset)
        for number, (cause, outcome) in enumerate(left, start=1):
            document = _estimated(dataset, version, cause, outcome)
            with transaction(settings) as connection:
                store.require(connection, version.digest)
                effect_store.save(connection, version.digest, document)
            if progress is not None:
                progress(number, len(left))
    with transaction(settings) as connection:
        return Estimated(len(left), effect_store.of_version(connection, version.digest))


def _estimated(dataset: CausalDataset, version: CausalVersion, cause: str, outcome: str) -> dict[str, Any]:
    """The document of one effect, or of why there is no number."""
    try:
        found = effect(dataset, version.graph, cause, outcome, latents=version.latents, seed=version.seed)
    except (InvalidInput, Refused) as refusal:
        return {"answer": "refused", "treatment": cause, "outcome": outcome, "detail": str(refusal)}
    return effect_store.effect_document(found)
