"""From rows as others write them to observations and feedback: names are resolved, every bad row is explained.

Accepted names are the fields themselves, their camelCase forms, the attributes of OpenTelemetry's `gen_ai.*`
conventions (dotted or nested) and the few below. Attributes with a dot that have no field here are ignored, since a
span carries many; any other unknown name makes the row bad, because it is most often a misspelling.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from cogorch_dagster.observations.schema import Feedback, Observation

# Other names of a field, the preferred first. A field's own name and its camelCase form go before all of them.
ALIASES: dict[str, tuple[str, ...]] = {
    "occurred_at": ("timestamp",),
    "duration_ms": ("latencyMs", "latency_ms"),
    "input_tokens": ("tokensIn", "tokens_in", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("tokensOut", "tokens_out", "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cost_amount": ("costUsd", "cost_usd"),
    "error_type": ("errorCode", "error_code", "error.type"),
    "http_status": ("statusCode", "status_code", "http.response.status_code", "http.status_code"),
    "provider_name": ("provider", "gen_ai.provider.name", "gen_ai.system"),
    "request_model": ("model", "gen_ai.request.model"),
    "unit_key": ("gen_ai.conversation.id",),
}
_NESTED = ("gen_ai", "http", "error")
_SHOWN_CHARACTERS = 120

# Where pydantic's own words do not read well after the value.
_PROBLEMS = {
    "string_unicode": "is not valid UTF-8 text",
    "string_pattern_mismatch": "does not match {pattern}",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is empty",
    "string_type": "is not text",
    "less_than_equal": "is above {le}",
    "greater_than_equal": "is below {ge}",
    "greater_than": "is not above {gt}",
    "finite_number": "is not a finite number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing_size": "is above the largest whole number",
    "bool_type": "is not a boolean",
    "bool_parsing": "is not a boolean",
    "list_type": "is not a list",
    "too_long": "has more than {max_length} items",
    "too_short": "has no items",
    "literal_error": "is not accepted",
}

Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class Rejection:
    """One field of one row that keeps the row out.

    `line` is the line of the file (or the index in a batch), `field` is empty where the row as a whole is bad.
    """

    line: int
    field: str
    value: str
    message: str


@dataclass
class Parsed(Generic[Record]):
    """The good records and, for each bad row in order, its rejections."""

    records: list[Record] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    rejected_rows: int = 0


def parse_observations(
    rows: Iterable[object], *, source: str | None = None, first_line: int = 0
) -> Parsed[Observation]:
    """Every row of a batch as an observation or as rejections that name field, value, bound and remedy.

    Args:
        source: taken for every row, whatever the row says; unset: each row must name its own.
        first_line: the line of the first row; 0 makes `Rejection.line` the index in the batch.
    """
    return parse(Observation, enumerate(rows, first_line), {} if source is None else {"source": source})


def parse_feedback(rows: Iterable[object], *, first_line: int = 0) -> Parsed[Feedback]:
    """As `parse_observations`, for feedback."""
    return parse(Feedback, enumerate(rows, first_line), {})


def parse(
    model: type[Record], numbered_rows: Iterable[tuple[int, object]], constants: Mapping[str, object]
) -> Parsed[Record]:
    """Validate rows that carry their own line numbers; `constants` override what the rows say."""
    parsed: Parsed[Record] = Parsed()
    names = _NAMES[model]
    validate = model.__pydantic_validator__.validate_python
    for line, row in numbered_rows:
        if not isinstance(row, Mapping):
            shown = _shown(row)
            parsed.rejections.append(Rejection(line, "", shown, f"{shown} is not an object of fields and values"))
            parsed.rejected_rows += 1
            continue
        values, unknown = _resolve(row, names)
        values.update(constants)
        try:
            record = validate(values)
        except ValidationError as error:
            problems = [_explain(model, line, problem) for problem in error.errors(include_url=False)]
        except ValueError as error:  # an integer of more digits than Python converts to text
            problems = [Rejection(line, "", "", f"the row holds a value that cannot be read: {error}")]
        else:
            if not unknown:
                parsed.records.append(record)
                continue
            problems = []
        parsed.rejections += problems + [_unknown(model, line, name, row[name]) for name in unknown]
        parsed.rejected_rows += 1
    return parsed


def unknown_names(model: type[BaseModel], names: Iterable[str]) -> list[str]:
    """The names that the model neither has nor ignores."""
    known = _NAMES[model]
    return [name for name in names if name not in known and "." not in name and name not in _NESTED]


def suggestion(model: type[BaseModel], name: str) -> str:
    """The remedy for an unknown name: the nearest field, or that there is none."""
    near = difflib.get_close_matches(name, list(_NAMES[model]), n=1, cutoff=0.7)
    return f"did you mean `{near[0]}`?" if near else "leave it out, or put it into `tags`"


def _names(model: type[BaseModel]) -> dict[str, tuple[str, int]]:
    """Every accepted name of the model with its field and its rank among that field's names."""
    names: dict[str, tuple[str, int]] = {}
    for name in model.model_fields:
        for rank, alias in enumerate((name, to_camel(name), *ALIASES.get(name, ()))):
            names.setdefault(alias, (name, rank))
    return names


_NAMES: dict[type[BaseModel], dict[str, tuple[str, int]]] = {model: _names(model) for model in (Observation, Feedback)}


def _resolve(row: Mapping[str, Any], names: dict[str, tuple[str, int]]) -> tuple[dict[str, Any], list[str]]:
    """The row under the model's names, without its empty values, and the names that nothing stands for."""
    values: dict[str, Any] = {}
    unknown: list[str] = []
    ranks: dict[str, int] = {}
    for key, value in _leaves(row):
        if value is None or value == "":
            continue
        known = names.get(key)
        if known is None:
            if not isinstance(key, str) or "." not in key:
                unknown.append(key)
            continue
        name, rank = known
        if name in values and ranks[name] <= rank:
            continue
        values[name], ranks[name] = value, rank
        if key in ("costUsd", "cost_usd"):
            values.setdefault("cost_currency", "USD")
    return values, unknown


def _leaves(row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The row's items; those of OpenTelemetry that come nested, under their dotted names."""
    if not any(root in row for root in _NESTED):
        return row.items()
    leaves: dict[str, Any] = {}
    for key, value in row.items():
        if key in _NESTED and isinstance(value, Mapping):
            leaves.update(_flattened(key, value))
        else:
            leaves[key] = value
    return leaves.items()


def _flattened(prefix: str, value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix}.{key}"
        if isinstance(inner, Mapping):
            yield from _flattened(name, inner)
        else:
            yield name, inner


def _explain(model: type[BaseModel], line: int, problem: ErrorDetails) -> Rejection:
    """One error of pydantic as the message a user reads: what was given, what bound it breaks, what to give."""
    context = problem.get("ctx", {})
    if problem["type"] == "across":
        shown = _shown(context["value"])
        return Rejection(line, context["field"], shown, f"{context['field']} {shown} {context['problem']}")
    name = ".".join(str(part) for part in problem["loc"])
    expected = model.model_fields[str(problem["loc"][0])].description
    if problem["type"] == "missing":
        return Rejection(line, name, "", f"{name} is missing; expected: {expected}")
    shown = _shown(problem["input"])
    wording = _PROBLEMS.get(problem["type"])
    what = wording.format(**context) if wording else problem["msg"].removeprefix("Input should be ")
    if problem["type"] == "string_pattern_mismatch" and "\0" in str(problem["input"]):
        what = "contains a NUL character"
    return Rejection(line, name, shown, f"{name} {shown} {what}; expected: {expected}")


def _unknown(model: type[BaseModel], line: int, name: object, value: object) -> Rejection:
    message = f"there is no field {_shown(name)}; {suggestion(model, str(name))}"
    return Rejection(line, _shown(name).strip("'"), _shown(value), message)


def _shown(value: object) -> str:
    """The value as a message shows it: printable and of bounded length."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python will print
        text = f"a {type(value).__name__} too large to show"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
