"""How to search for a graph, as a version stores it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from cogorch_dagster.causal.data.preparation import Preparation
from cogorch_dagster.errors import InvalidInput

Algorithm = Literal["auto", "boss", "pc", "fci", "guided_fci", "pc_discrete"]

_MOST = 1e6


@dataclass(frozen=True)
class DiscoverySettings:
    """What `discover` takes.

    Attributes:
        algorithm: `auto`: guided FCI when hidden common causes are suspected, else BOSS. `boss`, `pc`, `fci`,
            `guided_fci`: that one. `pc_discrete`: causal-learn's PC with G², a cross-check for discrete data.
        penalty: times the penalty of the BIC.
        restarts: orders that the search starts from.
        equivalent_sample: of the BDeu, the score of purely discrete data.
        alpha: level of the tests of independence.
        lingam: whether residuals that are not Gaussian may direct what BOSS leaves undirected.
        lingam_alpha: level of the tests of that.
        adapt: whether the columns may be those in which the graph is sparsest (`representation`).
        resamples: of the bootstrap that gives the probabilities.
        preparation: of the data.

    Raises:
        InvalidInput: a value out of its range.
    """

    algorithm: Algorithm = "auto"
    penalty: float = 2.0
    restarts: int = 10
    equivalent_sample: float = 1.0
    alpha: float = 0.01
    lingam: bool = True
    lingam_alpha: float = 0.01
    adapt: bool = True
    resamples: int = 200
    preparation: Preparation = field(default_factory=Preparation)

    def __post_init__(self) -> None:
        if self.algorithm not in get_args(Algorithm):
            raise InvalidInput(f"algorithm {self.algorithm!r} must be one of {', '.join(get_args(Algorithm))}")
        for what in ("penalty", "equivalent_sample"):
            if not 0 < getattr(self, what) < _MOST:
                raise InvalidInput(f"{what} {getattr(self, what):g} must be above 0 and below {_MOST:,.0f}")
        for what in ("alpha", "lingam_alpha"):
            if not 0 < getattr(self, what) < 1:
                raise InvalidInput(f"{what} {getattr(self, what):g} must be above 0 and below 1")
        for what, most in (("restarts", 10_000), ("resamples", 100_000)):
            if not 1 <= getattr(self, what) <= most:
                raise InvalidInput(f"{what} {getattr(self, what)} must lie between 1 and {most:,}")

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        found = asdict(self)
        found["preparation"]["prefer"] = list(self.preparation.prefer)
        return found

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The settings of a `document`."""
        held = dict(document["preparation"])
        return cls(**{**document, "preparation": Preparation(**{**held, "prefer": tuple(held["prefer"])})})
