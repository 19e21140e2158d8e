"""Traffic split between the active version and a canary, and the probability that is logged then.

One draw decides which version answers a request; the version then draws the arms, in cool-downs of its own. Evidence
about weights (`evaluation.importance`) divides by the probability that the request went as it did, whichever version
answered. Over the attempts a1, a2, ... of a request that is

    share * Pnew(a1) Pnew(a2) ... + (1 - share) * Pold(a1) Pold(a2) ...,

the balance heuristic of Veach and Guibas (1995). It is no product of marginal probabilities, since a first arm already
tells something of the version. So each attempt logs the probability of its arm given the attempts before it: both
versions are carried along, each with the probability of having drawn what was drawn so far, and the product of what was
logged is the sum above. That another draw is made at all belongs to the history: a version that would not have fallen
back at this point is out from there on.

The mixture presumes that an arm answers alike whoever asked. Versions that differ in more than weights (in a timeout,
say) break that; the tag `version_propensity` holds the draw's probability within its own version, for evidence that
keeps the versions apart.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from cogorch_dagster.client import canary_tags, takes_part
from cogorch_dagster.lab.routing import Draw, FailureKind, RouterPolicy, draw, probabilities

# Arms that cool down for the version of this number.
Cooling = Callable[[str], Collection[str]]


@dataclass(frozen=True)
class Split:
    """What is served: the active version and, where `canary` is set, its share of the requests, in (0, 1)."""

    active: RouterPolicy
    canary: RouterPolicy | None = None
    share: float = 0.0

    @classmethod
    def of(cls, active: RouterPolicy, canary: RouterPolicy, share: float) -> "Split":
        """Both versions over the union of their arms; an arm that one of them does not name has weight 0 there."""
        none = dict.fromkeys({*active.weights, *canary.weights}, 0.0)
        wide, tried = (replace(each, weights={**none, **each.weights}) for each in (active, canary))
        return cls(wide, tried, share)

    def of_tenant(self, tenant: str | None) -> "Split":
        """The split as it is for one tenant's requests."""
        return Split(self.active.of_tenant(tenant), self.canary and self.canary.of_tenant(tenant), self.share)

    @property
    def tags(self) -> Mapping[str, object]:
        """What every observation is tagged with while a canary runs."""
        return canary_tags(self.canary.version, self.share) if self.canary else {}

    def choose(self, unit_key: str | None, generator: random.Random) -> RouterPolicy:
        """The version for one request: sticky with a unit key, otherwise a draw."""
        if self.canary is None:
            return self.active
        of = self.canary
        part = takes_part(of.policy_id, of.version, self.share, unit_key, generator)
        return of if part else self.active


@dataclass
class Journey:
    """The draws of one request: made by the chosen version, followed for the other."""

    split: Split
    policy: RouterPolicy
    # How probable each version is to have been chosen and to have drawn what was drawn so far.
    _mass: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._mass[self.split.active.version] = 1.0 - self.split.share
        if self.split.canary is not None:
            self._mass[self.split.canary.version] = self.split.share

    def draw(self, cooling: Cooling, tried: Collection[str], generator: random.Random) -> "Step | None":
        """The next arm, with the probability that the mixture draws it; None when the version has none left."""
        drawn = draw(self.policy, cooling(self.policy.version), tried, generator)
        if drawn is None or self.split.canary is None:
            return None if drawn is None else Step(drawn, drawn.propensity)
        before = sum(self._mass.values())
        for version in (self.split.active, self.split.canary):
            self._mass[version.version] *= probabilities(version, cooling(version.version), tried).get(drawn.arm, 0.0)
        return Step(replace(drawn, propensity=min(sum(self._mass.values()) / before, 1.0)), drawn.propensity)

    def failed(self, failure: FailureKind) -> None:
        """An attempt failed: the versions that do not fall back on that end here."""
        for version in (self.split.active, self.split.canary):
            if version is not None and version is not self.policy and failure not in version.fallback_on:
                self._mass[version.version] = 0.0


@dataclass(frozen=True)
class Step:
    """A draw whose `propensity` is that of the mixture, and its probability within the version that made it."""

    drawn: Draw
    version_propensity: float
