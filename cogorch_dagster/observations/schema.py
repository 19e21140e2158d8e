"""What an observation and a feedback record are: one pydantic model each, from which the columns of the lake follow.

The order of a model's fields is the order of the columns; `arrow_schema` derives the types, so there is no second list.
Names that other systems use for these fields belong in `parsing`, not here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import orjson
import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from cogorch_dagster.observations import identity

ComponentKind = Literal["llm_router", "autoscaler", "canary", "service", "cell"]
Outcome = Literal["success", "failure", "timeout", "cancelled", "pending"]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=1)
MAX_JSON_BYTES = 65_536
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True)
class ArrowType:
    """Marks an annotation whose Arrow type is narrower than the one its Python type implies."""

    name: str


def _to_utc(value: object) -> object:
    """An aware time in UTC; a number is refused because its unit would be a guess."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("time_format", "is not an ISO 8601 time") from None
    if not isinstance(value, datetime):
        raise PydanticCustomError("time_format", "is not an ISO 8601 time")
    if value.tzinfo is None:
        raise PydanticCustomError(
            "time_naive", "has no time zone; add an offset such as Z, or state `timezone` in the mapping of the file"
        )
    # Compared before it is converted, which overflows near the years 1 and 9999.
    if not EARLIEST <= value <= datetime.now(UTC) + LATEST_AHEAD:
        raise PydanticCustomError(
            "time_range", "lies outside 2000-01-01 to one day from now; check its unit and the sender's clock"
        )
    return value.astimezone(UTC)


def _to_json_object(value: object) -> object:
    """A JSON object as compact text, given as text or as a mapping."""
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise PydanticCustomError("json_object", "is not valid JSON") from None
    if not isinstance(value, dict):
        raise PydanticCustomError("json_object", "is not a JSON object")
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError) as error:
        raise PydanticCustomError("json_object", "cannot be written as JSON: {error}", {"error": str(error)}) from None
    if len(text) > MAX_JSON_BYTES:
        raise PydanticCustomError("json_size", "is larger than {bound} bytes as JSON", {"bound": MAX_JSON_BYTES})
    if "\\u0000" in text and _JSON_NUL.search(text):
        raise PydanticCustomError("json_nul", "contains a NUL character")
    return text


def _to_list(value: object) -> object:
    """A list of names, given as a list, as a JSON list in text, or as text separated by `|`."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise PydanticCustomError("json_list", "is not a valid JSON list") from None
    return value.split("|")


def _to_uuid7(value: object) -> object:
    """The canonical text of a UUIDv7."""
    try:
        return identity.canonical(str(value))
    except ValueError as error:
        raise PydanticCustomError("uuid7", "{error}", {"error": str(error)}) from None


# PostgreSQL text cannot hold NUL, so such a row would fail in the inbox instead of at the border.
Text = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Time = Annotated[datetime, BeforeValidator(_to_utc)]
Uuid7 = Annotated[str, BeforeValidator(_to_uuid7)]
JsonObject = Annotated[str, BeforeValidator(_to_json_object)]
Names = Annotated[list[Name], BeforeValidator(_to_list), Field(min_length=1, max_length=1000)]
Milliseconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=0, le=10**12)]
HttpStatus = Annotated[int, Field(ge=100, le=599), ArrowType("int16")]
Attempt = Annotated[int, Field(ge=1, le=1000), ArrowType("int16")]

_CONFIG = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class Observation(BaseModel):
    """One thing that a component did and what came of it. Times are UTC to the microsecond, durations milliseconds."""

    model_config = _CONFIG

    observation_id: Annotated[
        Uuid7 | None, Field(description="leave it out to have it derived, or give a UUIDv7 of the time of occurred_at")
    ] = None
    source: Annotated[Name, Field(description="the system that the row comes from, such as `router-eu`")]
    source_id: Annotated[Text, Field(description="the row's own id in its source; with source the idempotency key")]
    occurred_at: Annotated[Time, Field(description="an ISO 8601 time with its offset, such as 2026-01-31T12:00:00Z")]
    ingested_at: Annotated[Time | None, Field(description="leave it out: it is set when the row is stored")] = None
    component: Annotated[Name, Field(description="what acted, such as `router:core`")]
    component_kind: Annotated[ComponentKind, Field(description="llm_router, autoscaler, canary, service or cell")]
    policy_id: Annotated[Name | None, Field(description="the policy it acted by")] = None
    policy_version: Annotated[Name | None, Field(description="the version of that policy")] = None
    decision_id: Annotated[Name | None, Field(description="shared by every attempt of one decision")] = None
    action: Annotated[Name | None, Field(description="the arm that was chosen")] = None
    propensity: Annotated[
        float | None,
        Field(gt=0, le=1, allow_inf_nan=False, description="the probability in (0, 1] with which action was drawn"),
    ] = None
    action_set: Annotated[Names | None, Field(description="the arms that were available, action among them")] = None
    tenant: Annotated[Name | None, Field(description="on whose behalf it acted")] = None
    unit_key: Annotated[Text | None, Field(description="the unit of an experiment, such as a session")] = None
    context: Annotated[JsonObject | None, Field(description="a JSON object of what was known before the action")] = None
    tags: Annotated[JsonObject | None, Field(description="a JSON object of anything else")] = None
    outcome: Annotated[Outcome, Field(description="success, failure, timeout, cancelled or pending")]
    error_type: Annotated[Text | None, Field(description="a short name of the error")] = None
    http_status: Annotated[HttpStatus | None, Field(description="an HTTP status code, 100 to 599")] = None
    attempt: Annotated[Attempt | None, Field(description="1 for the first attempt; left out it means 1")] = None
    cache_hit: Annotated[bool | None, Field(description="true or false")] = None
    duration_ms: Annotated[Milliseconds | None, Field(description="milliseconds, 0 to 1e11, without NaN")] = None
    ttft_ms: Annotated[Milliseconds | None, Field(description="milliseconds to the first token, 0 to 1e11")] = None
    queue_ms: Annotated[Milliseconds | None, Field(description="milliseconds in a queue, 0 to 1e11")] = None
    provider_name: Annotated[Name | None, Field(description="who served the model")] = None
    request_model: Annotated[Name | None, Field(description="the model that was asked for")] = None
    input_tokens: Annotated[Tokens | None, Field(description="a whole number, 0 to 1e12")] = None
    output_tokens: Annotated[Tokens | None, Field(description="a whole number, 0 to 1e12")] = None
    cost_amount: Annotated[
        float | None, Field(ge=0, le=1e9, allow_inf_nan=False, description="an amount of cost_currency, 0 to 1e9")
    ] = None
    cost_currency: Annotated[
        str | None, Field(pattern="^[A-Z]{3}$", description="an ISO 4217 code; USD where a cost has none")
    ] = None
    trace_id: Annotated[Name | None, Field(description="the trace that the observation belongs to")] = None
    sample_weight: Annotated[
        float,
        Field(ge=1, le=1e6, allow_inf_nan=False, description="how many like it the row stands for; 1 unless sampled"),
    ] = 1.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Hold the fields against each other and derive what may be left out."""
        if self.action_set is not None and self.action not in self.action_set:
            raise _across("action", self.action, f"is not in action_set {self.action_set}; log the arms of that draw")
        if self.propensity is not None and self.action is None:
            raise _across("propensity", self.propensity, "has no action; give the arm that was drawn with it")
        if self.cost_amount is not None and self.cost_currency is None:
            object.__setattr__(self, "cost_currency", "USD")
        if self.observation_id is None:
            derived = identity.derive(self.source, self.source_id, self.occurred_at)
            object.__setattr__(self, "observation_id", derived)
        elif identity.milliseconds(self.observation_id) != identity.to_milliseconds(self.occurred_at):
            raise _across(
                "observation_id",
                self.observation_id,
                f"holds another time than occurred_at {self.occurred_at.isoformat()}; leave it out to have it derived",
            )
        return self


class Feedback(BaseModel):
    """A judgement that arrives after the observation. The latest `occurred_at` per observation and metric holds."""

    model_config = _CONFIG

    observation_id: Annotated[Uuid7, Field(description="the observation_id of what is judged")]
    metric: Annotated[
        str,
        Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$", description="a name such as `quality`: lower case, digits, _ and ."),
    ]
    value: Annotated[
        float, Field(ge=-1e9, le=1e9, allow_inf_nan=False, description="a number; of the metric quality 0 to 1")
    ]
    occurred_at: Annotated[Time, Field(description="an ISO 8601 time with its offset, such as 2026-01-31T12:00:00Z")]
    ingested_at: Annotated[Time | None, Field(description="leave it out: it is set when the row is stored")] = None

    @model_validator(mode="after")
    def _bounded_quality(self) -> Self:
        if self.metric == "quality" and not 0 <= self.value <= 1:
            raise _across("value", self.value, "lies outside 0 to 1, the range of the metric quality; rescale it")
        return self


def _across(field: str, value: object, problem: str) -> PydanticCustomError:
    """An error of one field that only shows beside another; `parsing` reads the field and value back."""
    return PydanticCustomError("across", "{problem}", {"field": field, "value": value, "problem": problem})


def arrow_schema(model: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a model: its fields in order, every column nullable so that tables concatenate freely."""
    return pa.schema([pa.field(name, _arrow_type(info.annotation, info.metadata)) for name, info in _fields(model)])


def to_table(records: Iterable[BaseModel], model: type[BaseModel] = Observation) -> pa.Table:
    """The records as one Arrow table with the model's schema."""
    rows = [record.__dict__ for record in records]
    schema = arrow_schema(model)
    return pa.Table.from_arrays(
        [pa.array([row[field.name] for row in rows], type=field.type) for field in schema], schema=schema
    )


def _fields(model: type[BaseModel]) -> Iterable[tuple[str, Any]]:
    return model.model_fields.items()


_ARROW: dict[type, pa.DataType] = {
    str: pa.string(),
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _arrow_type(annotation: Any, metadata: Iterable[object] = ()) -> pa.DataType:
    for marker in metadata:
        if isinstance(marker, ArrowType):
            return pa.type_for_alias(marker.name)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _arrow_type(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _arrow_type(inner)
    if origin is Literal:
        return pa.string()
    if origin is list:
        return pa.list_(_arrow_type(arguments[0]))
    return _ARROW[annotation]


OBSERVATION_SCHEMA: pa.Schema = arrow_schema(Observation)
FEEDBACK_SCHEMA: pa.Schema = arrow_schema(Feedback)
