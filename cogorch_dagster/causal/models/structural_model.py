"""A linear structural causal model: a graph, its equations in raw units with their bootstrap draws, and its support.

Fitted once for a version and stored as bytes; what is asked of it is in `intervention`, `counterfactual`,
`attribution` and `bottleneck`, none of which needs more than numpy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.causal.data.dataset import Variable
from cogorch_dagster.causal.graphs.graph import Graph
from cogorch_dagster.causal.models import codec
from cogorch_dagster.causal.models.bank import Bank
from cogorch_dagster.causal.models.columns import Columns
from cogorch_dagster.causal.models.support import Support
from cogorch_dagster.errors import InvalidInput

Floats = NDArray[np.float64]

_BANK = ("order", "cause", "effect", "coefficients", "intercepts", "deviations", "unidentified")
_SUPPORT = ("low", "high", "quantiles", "mean", "covariance", "rows", "errors")


@dataclass(frozen=True, eq=False)
class StructuralModel:
    """Linear equations of every member of a graph.

    Attributes:
        graph: what it was fitted to.
        latents: pairs with a suspected hidden common cause, beside the graph's bidirected edges.
        columns: what stands for the variables in the equations.
        members: the equations of each member, that of the consistent extension first; one for a DAG or an ADMG.
        complete: whether the members are the whole equivalence class.
        mixture: whether the members after the first are resampled graphs instead of members of a class.
        support: where the rows lie.
        rows: how many it was fitted to.
        block: rows to a block of the bootstrap; 1 where they count as independent.
        seed: of draws and samples.
        inputs: digest of the data set.
    """

    graph: Graph
    latents: tuple[tuple[str, str], ...]
    columns: Columns
    members: tuple[Bank, ...]
    complete: bool
    mixture: bool
    support: Support
    rows: int
    block: int
    seed: int
    inputs: str

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.columns.variables

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of the columns of variables with the role outcome; of all where there is none."""
        owners = [self.variables[place] for place in self.columns.owner]
        found = tuple(n for n, v in zip(self.columns.names, owners, strict=True) if v.role == "outcome")
        return found or self.columns.names

    def column(self, name: str) -> int:
        """The one column of a name.

        Raises:
            InvalidInput: no variable has it, or it has a column for each of its levels.
        """
        found = self.columns.of_variable(name)
        if len(found) > 1:
            known = ", ".join(self.columns.names[k] for k in found)
            raise InvalidInput(f"{name!r} has no mean, it has levels; ask for one of {known}")
        return found[0]

    def check_varied(self, columns: Iterable[int]) -> None:
        """Raises InvalidInput if a column has one value in all rows, which say nothing of what it does."""
        for k in columns:
            if self.support.covariance[k, k] <= 0:
                raise InvalidInput(
                    f"{self.columns.names[k]!r} is {self.support.mean[k]:.4g} in all rows, so that its effects are "
                    "unknown; take a period in which it varies"
                )

    def coefficient(self, cause: str, effect: str) -> float:
        """Units of the effect for one unit of the cause, in the first member; 0 without an edge."""
        bank = self.members[0]
        at = np.flatnonzero((bank.cause == self.column(cause)) & (bank.effect == self.column(effect)))
        return float(bank.coefficients[at[0], 0]) if len(at) else 0.0

    @cached_property
    def own_variance(self) -> Floats:
        """(q,) share of each column's variance that does not follow from its causes, in the first member."""
        total = np.diag(self.support.covariance)
        own = self.members[0].deviations[:, 0] ** 2
        return np.divide(own, total, out=np.ones_like(total), where=total > 0)

    @cached_property
    def class_warnings(self) -> tuple[str, ...]:
        """What to say of every answer."""
        if self.complete:
            return ()
        return (f"the range is over {len(self.members)} graphs of an equivalence class that has more",)

    @cached_property
    def content(self) -> bytes:
        """Everything, as bytes; the same data, graph, settings and seed give the same."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self.support, name) for name in _SUPPORT}
        for k, bank in enumerate(self.members):
            arrays |= {f"{k}.{name}": getattr(bank, name) for name in _BANK}
        head = {
            "graph": self.graph.document(),
            "latents": [list(each) for each in self.latents],
            "variables": [variable.document() for variable in self.variables],
            "members": len(self.members),
            "complete": self.complete,
            "mixture": self.mixture,
            "rows": self.rows,
            "block": self.block,
            "seed": self.seed,
            "inputs": self.inputs,
        }
        return codec.packed(head, arrays)

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hexadecimal digits of the content."""
        return codec.digest_of(self.content)

    @classmethod
    def of(cls, content: bytes) -> "StructuralModel":
        """The model of a `content`.

        Raises:
            InvalidInput: not the bytes of a model.
        """
        head, arrays = codec.unpacked(content)
        variables = tuple(Variable.of(each) for each in head["variables"])
        return cls(
            graph=Graph.of(head["graph"]),
            latents=tuple((a, b) for a, b in head["latents"]),
            columns=Columns.of(variables),
            members=tuple(Bank(**{name: arrays[f"{k}.{name}"] for name in _BANK}) for k in range(int(head["members"]))),
            complete=head["complete"],
            mixture=head["mixture"],
            support=Support(**{name: arrays[name] for name in _SUPPORT}),
            rows=head["rows"],
            block=head["block"],
            seed=head["seed"],
            inputs=head["inputs"],
        )
