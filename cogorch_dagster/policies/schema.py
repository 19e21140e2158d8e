"""What the models of all kinds have in common: how they read JSON, and how their errors are told."""

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

Place = tuple[str | int, ...]
# A value in a message; a number of a thousand digits tells nobody more than its first ones.
_SHOWN = 60


class Params(BaseModel):
    """Base of every kind's parameters: camelCase in JSON, no unknown keys, no conversion of types."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
    )


def problems_of(error: ValidationError, model: type[BaseModel] | None = None) -> list[tuple[Place, str]]:
    """Each problem of a pydantic error as (place, `place: message (got value)`).

    Args:
        model: what was validated; its bounds then stand in the message of a value that is no number at all, and the
            names that it knows in that of one that it does not.
    """
    found = []
    for item in error.errors(include_url=False, include_context=False):
        place = tuple(item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in place)
        value = item.get("input")
        got = (
            f" (got {_shown(value)})" if isinstance(value, str | int | float) and item["type"] != "value_error" else ""
        )
        hint = "" if model is None or len(place) != 1 else _hint(model, str(place[0]), item["type"])
        found.append((place, f"{name}: {message}{got}{hint}" if name else message))
    return found


def _hint(model: type[BaseModel], name: str, problem: str) -> str:
    names = {field.alias or key: field for key, field in model.model_fields.items()}
    if problem == "extra_forbidden":
        return f"; the names are {', '.join(names)}"
    if name not in names:
        return ""
    bounds = names[name].metadata
    low = next((each.ge for each in bounds if hasattr(each, "ge")), None)
    high = next((each.le for each in bounds if hasattr(each, "le")), None)
    return "" if low is None or high is None else f"; choose {low} to {high}"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # More digits than Python writes.
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
