"""How the columns of a foreign file become observations: a mapping, written in YAML.

A mapping for a CSV file of your own, with every feature:

    source: shop-assistant          # names the system; with source_id the idempotency key of every row
    timezone: Europe/Berlin         # of times that state none; leave it out and such rows are rejected
    time_format: "%d.%m.%Y %H:%M"   # only for times that are not ISO 8601 (Python's strptime)
    encoding: latin-1               # of a CSV file; utf-8 unless stated
    delimiter: ";"                  # of a CSV file; a comma unless stated

    columns:                        # field of the observation: where it comes from
      source_id: ticket             # a column by its name
      occurred_at: created
      component: {template: "bot:{bot_name}", default: "bot:unknown"}
      component_kind: {constant: service}
      outcome:
        column: state
        values: {done: success, crashed: failure, open: pending}    # a value that is not listed rejects the row
      duration_ms: {column: seconds, scale: 1000}
      ttft_ms: {from: created, to: first_answer}                    # milliseconds between two times
      cost_amount: {column: eur, empty: ["n/a"]}                    # further values that mean "none"
      cost_currency: {constant: EUR}
      tenant: {column: [team, customer]}                            # the first that is not empty
      error_type: {column: meta.error.kind, optional: true}         # inside a JSON column; the file may lack it
      context: {object: [bot_name, language]}                       # a JSON object of these columns
      tags: {object: {lang: language}}                              # the same under other names

- `default` takes the place of an empty value, in any rule.
- In the hour that a zone repeats in autumn, a time without an offset is taken as the first of the two.
- A time given as a number needs `epoch: s` (or `ms`, `us`, `ns`): {column: ts, epoch: ms}.
- A composed key is a template: `source_id: {template: "{region}:{number}"}`.
- A file without ids: `source_id: {hash: [created, bot_name, state]}` takes a hash of these columns and, for rows that
  are equal in all of them, the number of the occurrence. Importing the file again, or a longer version of it, then
  adds only what is new.
- Columns that the mapping does not name are not read, and so never stored.
"""

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cogorch_dagster.errors import InvalidInput, reason_of
from cogorch_dagster.observations.parsing import suggestion
from cogorch_dagster.observations.schema import Observation

REQUIRED = ("source_id", "occurred_at", "component", "component_kind", "outcome")
_STRICT = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class Rule(BaseModel):
    """Where the value of one field comes from; exactly one of the first five kinds, see the module."""

    model_config = _STRICT

    column: str | list[str] | None = None
    constant: str | int | float | bool | None = None
    template: str | list[str] | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    object: list[str] | dict[str, str] | None = None
    hash: Annotated[list[str], Field(min_length=1)] | None = None
    values: dict[str, str | int | float | bool | None] | None = None
    scale: float | None = None
    epoch: Literal["s", "ms", "us", "ns"] | None = None
    empty: list[str] = []
    default: str | int | float | bool | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [
            name for name in ("column", "constant", "template", "object", "hash") if getattr(self, name) is not None
        ]
        if self.from_ is not None or self.to is not None:
            given.append("from and to")
            if self.from_ is None or self.to is None:
                raise ValueError("gives only one of `from` and `to`; a duration needs both")
        if len(given) != 1:
            said = f"gives {' and '.join(given)}" if given else "says nothing"
            raise ValueError(f"{said}; give exactly one of column, constant, template, from and to, object, hash")
        if self.column is None and (self.values or self.scale is not None or self.epoch):
            raise ValueError("uses values, scale or epoch without a column; they translate the value of a column")
        return self

    @property
    def columns(self) -> list[str]:
        """Every column that the rule reads."""
        from string import Formatter

        if self.column is not None:
            return [self.column] if isinstance(self.column, str) else self.column
        if self.template is not None:
            texts = [self.template] if isinstance(self.template, str) else self.template
            return [name for text in texts for _, name, _, _ in Formatter().parse(text) if name]
        if self.from_ is not None and self.to is not None:
            return [self.from_, self.to]
        if self.object is not None:
            return list(self.object.values()) if isinstance(self.object, dict) else self.object
        return self.hash or []


class FileMapping(BaseModel):
    """A mapping as the YAML file states it."""

    model_config = _STRICT

    columns: dict[str, Rule]
    source: str | None = None
    timezone: ZoneInfo | None = None
    time_format: str | None = None
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _names_alone_are_columns(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: {"column": rule} if isinstance(rule, str | list) else rule for name, rule in value.items()}

    @model_validator(mode="after")
    def _covers_the_schema(self) -> Self:
        for name in self.columns:
            if name not in Observation.model_fields or name == "ingested_at":
                raise ValueError(f"columns: an observation has no field {name!r}; {suggestion(Observation, name)}")
        missing = [name for name in REQUIRED if name not in self.columns]
        if missing:
            raise ValueError(f"columns: {', '.join(missing)} must be mapped; every observation has them")
        if "source" in self.columns and self.source is not None:
            raise ValueError("source is stated twice, as a constant and as a column; keep one")
        return self

    def check_columns(self, path: str, present: Iterable[str]) -> None:
        """Hold the mapping against the columns of a file.

        Raises:
            InvalidInput: the file lacks a column that no rule calls optional.
        """
        have = set(present)
        wanted = [name for rule in self.columns.values() if not rule.optional for name in rule.columns]
        missing = sorted({name for name in wanted if name not in have and name.partition(".")[0] not in have})
        if missing:
            raise InvalidInput(
                f"{path} lacks the columns {', '.join(missing)} that its mapping names; "
                f"it has {', '.join(sorted(have))}. Correct the mapping, or mark the rule `optional: true`."
            )


def presets() -> list[str]:
    """The names of the mappings that come with cogorch."""
    folder = resources.files(__package__) / "presets"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def load(preset: str | Path) -> FileMapping:
    """A preset by its name, or the mapping in a YAML file.

    Raises:
        InvalidInput: there is neither, or it is no valid mapping; the message names the file, the rule and the remedy.
    """
    if str(preset) in presets():
        text = (resources.files(__package__) / "presets" / f"{preset}.yaml").read_text("utf-8")
    else:
        try:
            text = Path(preset).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{str(preset)!r} is neither a preset ({', '.join(presets())}) nor a readable mapping file: "
                f"{reason_of(error)}."
            ) from None
    return parse_mapping(text, str(preset))


def parse_mapping(text: str, name: str) -> FileMapping:
    """The mapping that a YAML text states; `name` stands for it in messages."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"The mapping {name} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise InvalidInput(f"The mapping {name} is not a YAML mapping; it needs at least `columns:`.")
    try:
        return FileMapping.model_validate(document)
    except ValidationError as error:
        # A misspelt key is both unknown and missing under its right name; naming it tells more.
        problem = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in problem["loc"])
        what = problem["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"The mapping {name}: {f'{where}: ' if where else ''}{what}.") from None
