"""A version of the features of one scope: what they are, how they were chosen, and from what. It never changes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.features.context import ContextColumn
from cogorch_dagster.features.selection import Importance
from cogorch_dagster.features.synthesis import AGGREGATIONS, TRANSFORMS, Definition, every, of_json
from cogorch_dagster.policies import document as documents

FORMAT = "cogorch-features/1"
CUT_OFF = "a decision's start; an event counts from one microsecond after it was known"


@dataclass(frozen=True)
class FeatureSet:
    """Features of one policy's decisions.

    Attributes:
        scope: the policy's id.
        selected: names of the features, the most important first.
        definitions: Featuretools' JSON of the definitions that they are windows of.
        windows_s: windows in seconds that were tried.
        context: columns made of the decisions' context.
        considered: how many features were there to choose from.
        importances: of those that had any.
        explained, explained_without: shares of the reward's variance in held-out time, with features and by arm alone.
        rows, since, until: the decisions that they were selected on.
        inputs: digest of the files and reward configurations behind them.
    """

    scope: str
    selected: tuple[str, ...]
    definitions: Mapping[str, Any]
    windows_s: tuple[int, ...]
    context: tuple[ContextColumn, ...]
    considered: int
    importances: tuple[Importance, ...]
    explained: float
    explained_without: float
    rows: int
    since: datetime
    until: datetime
    seed: int
    inputs: str
    code_version: str

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of the document."""
        return documents.digest(self.document())

    @cached_property
    def features(self) -> tuple[Definition, ...]:
        """The selected features, in their order.

        Raises:
            InvalidInput: the definitions do not hold all of them.
        """
        if not self.selected:
            return ()
        known = {each.name: each for each in every(of_json(self.definitions), self.windows_s)}
        if missing := [name for name in self.selected if name not in known]:
            raise InvalidInput(f"the feature set of {self.scope} has no definition of {missing}; build it anew")
        return tuple(known[name] for name in self.selected)

    def document(self) -> dict[str, Any]:
        """The set as JSON; `of` reads it back."""
        return {
            "format": FORMAT,
            "scope": self.scope,
            "selected": list(self.selected),
            "definitions": self.definitions,
            "windowsSeconds": list(self.windows_s),
            "context": [each.document() for each in self.context],
            "primitives": [*AGGREGATIONS, *TRANSFORMS],
            "cutOff": CUT_OFF,
            "considered": self.considered,
            "importances": [asdict(each) for each in self.importances],
            "explained": self.explained,
            "explainedWithout": self.explained_without,
            "rows": self.rows,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "seed": self.seed,
            "inputs": self.inputs,
            "codeVersion": self.code_version,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "FeatureSet":
        """The set of a document.

        Raises:
            InvalidInput: another format, or an incomplete document.
        """
        if document.get("format") != FORMAT:
            raise InvalidInput(f"a feature set of format {document.get('format')!r}; this version reads {FORMAT!r}")
        try:
            return cls(
                scope=document["scope"],
                selected=tuple(document["selected"]),
                definitions=document["definitions"],
                windows_s=tuple(document["windowsSeconds"]),
                context=tuple(ContextColumn.of(each) for each in document["context"]),
                considered=document["considered"],
                importances=tuple(Importance(**each) for each in document["importances"]),
                explained=document["explained"],
                explained_without=document["explainedWithout"],
                rows=document["rows"],
                since=datetime.fromisoformat(document["since"]),
                until=datetime.fromisoformat(document["until"]),
                seed=document["seed"],
                inputs=document["inputs"],
                code_version=document["codeVersion"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the document is no complete feature set ({error!r})") from error
