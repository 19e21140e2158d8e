"""A mapping at work: each row of a file becomes values by field of the observation, which `parsing` then validates."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from cogorch_dagster.observations.sources.mapping import FileMapping, Rule

Row = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class Untranslatable(Exception):
    """A value for which the mapping has no translation."""

    def __init__(self, value: object, message: str) -> None:
        super().__init__(message)
        self.value = value


@dataclass(frozen=True)
class Problem:
    """A field that the mapping could not fill."""

    field: str
    value: object
    message: str


class Translator:
    """A mapping compiled to one function per field. It counts equal rows, so use one for each reading of a file."""

    def __init__(self, mapping: FileMapping) -> None:
        self._fields = [(name, _reader(name, rule, mapping)) for name, rule in mapping.columns.items()]
        if mapping.source is not None:
            self._fields.append(("source", _constant(mapping.source)))

    def translate(self, row: Row) -> tuple[dict[str, Any], list[Problem]]:
        """The row's values by field, without the empty ones, and what could not be translated."""
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, read in self._fields:
            try:
                value = read(row)
            except Untranslatable as error:
                problems.append(Problem(name, error.value, str(error)))
                continue
            if value is not None:
                values[name] = value
        return values, problems


def _reader(name: str, rule: Rule, mapping: FileMapping) -> Callable[[Row], Any]:
    """The function that reads one field of a row; None stands for empty."""
    read = _source_of(name, rule, mapping)
    if rule.default is None:
        return read
    default = rule.default

    def with_default(row: Row) -> Any:
        value = read(row)
        return default if value is None else value

    return with_default


def _source_of(name: str, rule: Rule, mapping: FileMapping) -> Callable[[Row], Any]:
    if rule.constant is not None:
        read = _constant(rule.constant)
    elif rule.template is not None:
        read = _template([rule.template] if isinstance(rule.template, str) else rule.template)
    elif rule.from_ is not None and rule.to is not None:
        read = _between(_cell(rule.from_), _cell(rule.to), _clock(mapping))
    elif rule.object is not None:
        read = _object(rule.object if isinstance(rule.object, dict) else {column: column for column in rule.object})
    elif rule.hash is not None:
        read = _hash(rule.hash)
    elif rule.epoch is not None:
        read = _epoch(_column(rule), _PER_SECOND[rule.epoch], rule.epoch)
    elif name == "occurred_at":
        read = _time(_column(rule), _clock(mapping))
    else:
        read = _column(rule)
    return read


def _constant(value: Any) -> Callable[[Row], Any]:
    return lambda _: value


def _column(rule: Rule) -> Callable[[Row], Any]:
    cells = [_cell(column) for column in rule.columns]
    empty = frozenset(rule.empty)
    plain = cells[0] if len(cells) == 1 and not empty else _first(cells, empty)
    if rule.values is not None:
        return _translated(plain, rule.columns[0], rule.values)
    if rule.scale is not None:
        return _scaled(plain, rule.scale)
    return plain


def _cell(column: str) -> Callable[[Row], Any]:
    """Reads a column, or what lies at a dotted path inside a JSON column; an empty text is None."""
    root, _, rest = column.partition(".")

    def plain(row: Row) -> Any:
        value = row.get(column)
        return None if value == "" else value

    def nested(row: Row) -> Any:
        if column in row:
            return plain(row)
        value = row.get(root)
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                return None
        for part in rest.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return None if value == "" else value

    return nested if rest else plain


def _first(cells: list[Callable[[Row], Any]], empty: frozenset[str]) -> Callable[[Row], Any]:
    def read(row: Row) -> Any:
        for cell in cells:
            value = cell(row)
            if value is not None and not (isinstance(value, str) and value in empty):
                return value
        return None

    return read


def _translated(read: Callable[[Row], Any], column: str, values: Mapping[str, Any]) -> Callable[[Row], Any]:
    def translated(row: Row) -> Any:
        value = read(row)
        if value is None:
            return None
        key = str(value)
        if key not in values:
            raise Untranslatable(
                value, f"is not among the values of {column}: {', '.join(values)}; add it to the mapping"
            )
        return values[key]

    return translated


def _scaled(read: Callable[[Row], Any], scale: float) -> Callable[[Row], Any]:
    def scaled(row: Row) -> Any:
        value = read(row)
        try:
            return None if value is None else float(value) * scale
        except (TypeError, ValueError, OverflowError):
            return value  # The schema says what is wrong with it.

    return scaled


def _template(templates: list[str]) -> Callable[[Row], Any]:
    """The first template whose columns all have a value."""
    compiled = [[(text, _cell(name) if name else None) for text, name, _, _ in Formatter().parse(t)] for t in templates]

    def read(row: Row) -> Any:
        for parts in compiled:
            filled = []
            for text, cell in parts:
                filled.append(text)
                if cell is not None:
                    value = cell(row)
                    if value is None:
                        break
                    filled.append(str(value))
            else:
                return "".join(filled)
        return None

    return read


def _object(columns: Mapping[str, str]) -> Callable[[Row], Any]:
    cells = [(name, _cell(column)) for name, column in columns.items()]

    def read(row: Row) -> Any:
        found = {name: value for name, cell in cells if (value := cell(row)) is not None}
        return found or None

    return read


def _hash(columns: list[str]) -> Callable[[Row], Any]:
    """The hash of the columns and the number of this occurrence; the memory for it grows by some 100 bytes a row."""
    cells = [_cell(column) for column in columns]
    seen: dict[int, int] = {}

    def read(row: Row) -> str:
        # As JSON, so that no two different rows write the same text.
        content = orjson.dumps([_text(cell(row)) for cell in cells])
        digest = hashlib.blake2b(content, digest_size=16).digest()
        key = int.from_bytes(digest[:8], "big")
        seen[key] = occurrence = seen.get(key, 0) + 1
        return f"{digest.hex()}-{occurrence}"

    return read


def _text(value: Any) -> str | None:
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def _clock(mapping: FileMapping) -> Callable[[Any], Any]:
    """Turns a value into a time where it can; anything else is returned as it is, for the schema to judge."""
    zone, time_format = mapping.timezone, mapping.time_format
    attach = UTC if zone == ZoneInfo("UTC") else zone

    def read(value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = datetime.strptime(value, time_format) if time_format else datetime.fromisoformat(value)  # noqa: DTZ007
            except ValueError:
                if time_format:
                    raise Untranslatable(
                        value, f"is not a time of the form {time_format!r} that the mapping states"
                    ) from None
                return value
        if isinstance(value, datetime) and value.tzinfo is None and attach is not None:
            return value.replace(tzinfo=attach)
        return value

    return read


def _time(read: Callable[[Row], Any], clock: Callable[[Any], Any]) -> Callable[[Row], Any]:
    return lambda row: clock(read(row))


def _epoch(read: Callable[[Row], Any], per_second: int, unit: str) -> Callable[[Row], Any]:
    def moment(row: Row) -> Any:
        value = read(row)
        if value is None:
            return None
        try:
            # Integers keep the microseconds that a float of this size would round.
            number = int(value) if isinstance(value, int) or str(value).isdecimal() else float(value)
            return _EPOCH + timedelta(microseconds=number * 1_000_000 // per_second)
        except (TypeError, ValueError, OverflowError):
            raise Untranslatable(value, f"is not a time in {unit} since 1970") from None

    return moment


def _between(
    begin: Callable[[Row], Any], end: Callable[[Row], Any], clock: Callable[[Any], Any]
) -> Callable[[Row], Any]:
    def milliseconds(row: Row) -> Any:
        first, last = clock(begin(row)), clock(end(row))
        if first is None or last is None:
            return None
        try:
            return (last - first) / timedelta(milliseconds=1)
        except TypeError:
            raise Untranslatable(f"{first} to {last}", "are not two times that can be subtracted") from None

    return milliseconds
