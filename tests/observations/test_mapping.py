"""Mappings: a foreign row becomes the values that its YAML says; a wrong mapping is refused with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.observations.importing import import_file
from cogorch_dagster.observations.sources import mapping as mapping_module
from cogorch_dagster.observations.sources.applying import Translator
from cogorch_dagster.observations.sources.mapping import load, parse_mapping, presets
from cogorch_dagster.settings import Settings

BASE = """
columns:
  source_id: id
  occurred_at: when
  component: {constant: c}
  component_kind: {constant: service}
  outcome: {constant: success}
"""


def translate(rules: str, row: dict[str, Any], head: str = "source: mine") -> tuple[dict[str, Any], list[str]]:
    translator = Translator(parse_mapping(head + BASE + rules, "test"))
    values, problems = translator.translate({"id": "1", "when": "2026-01-01T00:00:00Z", **row})
    return values, [problem.field for problem in problems]


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        ("duration_ms: {column: s, scale: 1000}", {"s": "1.5"}, 1500.0),
        ("duration_ms: {column: s, scale: 1000}", {"s": "fast"}, "fast"),
        ("duration_ms: {from: a, to: b}", {"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:00:01.5Z"}, 1500.0),
        ("duration_ms: {from: a, to: b}", {"a": "2026-01-01T00:00:00Z", "b": ""}, None),
        ("tenant: {column: [team, user]}", {"team": "", "user": "u"}, "u"),
        ("tenant: {column: t, empty: ['n/a']}", {"t": "n/a"}, None),
        ("tenant: {column: t, default: nobody}", {"t": ""}, "nobody"),
        ("tenant: {template: '{a}-{b}'}", {"a": "x", "b": 3}, "x-3"),
        ("tenant: {template: ['{a}-{b}', 'only {a}']}", {"a": "x", "b": ""}, "only x"),
        ("error_type: {column: meta.error.kind}", {"meta": '{"error": {"kind": "k"}}'}, "k"),
        ("error_type: {column: meta.error.kind}", {"meta": {"error": {"kind": "k"}}}, "k"),
        ("error_type: {column: meta.error.kind}", {"meta": "{broken"}, None),
        ("error_type: {column: meta.error.kind}", {"meta.error.kind": "k"}, "k"),
        ("tags: {object: [a, b]}", {"a": 1, "b": ""}, {"a": 1}),
        ("tags: {object: {x: a}}", {"a": 1}, {"x": 1}),
    ],
)
def test_rules(rule: str, row: dict[str, Any], expected: object) -> None:
    values, problems = translate(f"  {rule}\n", row)
    assert problems == []
    assert values.get(rule.partition(":")[0]) == expected


def test_a_value_without_a_translation_rejects_the_row() -> None:
    _, problems = translate("  error_type: {column: e, values: {a: b}}\n", {"e": "c"})
    assert problems == ["error_type"]


@pytest.mark.parametrize(
    ("head", "when", "expected"),
    [
        ("source: s", "2026-07-01 12:00:00", None),
        ("source: s\ntimezone: UTC", "2026-07-01 12:00:00", "2026-07-01T12:00:00+00:00"),
        ("source: s\ntimezone: Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01T12:00:00+02:00"),
        ("source: s\ntimezone: Europe/Berlin", "2026-07-01 12:00:00Z", "2026-07-01T12:00:00+00:00"),
        ("source: s\ntimezone: UTC\ntime_format: '%d.%m.%Y %H:%M'", "01.07.2026 12:00", "2026-07-01T12:00:00+00:00"),
    ],
)
def test_times(head: str, when: str, expected: str | None) -> None:
    values, problems = translate("", {"when": when}, head)
    assert problems == []
    if expected is None:
        assert values["occurred_at"].tzinfo is None
    else:
        assert values["occurred_at"].isoformat() == expected


@pytest.mark.parametrize(
    ("unit", "number"), [("s", "1767225600.25"), ("ms", "1767225600250"), ("us", 1767225600250000)]
)
def test_times_as_numbers_need_their_unit(unit: str, number: object) -> None:
    text = BASE.replace("occurred_at: when", f"occurred_at: {{column: when, epoch: {unit}}}")
    values, problems = Translator(parse_mapping(text, "test")).translate({"id": "1", "when": number})
    assert problems == []
    assert values["occurred_at"].isoformat() == "2026-01-01T00:00:00.250000+00:00"


def test_rows_without_ids_are_told_apart_by_their_content_and_occurrence() -> None:
    text = BASE.replace("source_id: id", "source_id: {hash: [a, b]}")

    def ids(rows: list[tuple[str, str]]) -> list[str]:
        translator = Translator(parse_mapping(text, "test"))
        return [translator.translate({"when": "2026-01-01T00:00:00Z", "a": a, "b": b})[0]["source_id"] for a, b in rows]

    rows = [("x", "y"), ("xy", ""), ("", "xy"), ("x", "y"), ("x", "y")]
    found = ids(rows)
    assert len(set(found)) == 5
    assert ids([*rows, ("new", "row")])[:5] == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns: [", "not valid YAML"),
        ("- a", "needs at least"),
        ("source: s", "columns"),
        ("columns: {source_id: id}", "occurred_at, component, component_kind, outcome must be mapped"),
        (BASE + "  latency: x", "no field 'latency'"),
        (BASE + "  duration_msec: x", "did you mean `duration_ms`"),
        (BASE + "  tenant: {}", "tenant: says nothing"),
        (BASE + "  tenant: {column: a, constant: b}", "gives column and constant"),
        (BASE + "  duration_ms: {from: a}", "needs both"),
        (BASE + "  tenant: {constant: a, scale: 2}", "without a column"),
        (BASE + "  tenant: {colum: a}", "tenant.colum"),
        ("timezone: Mars/Olympus" + BASE, "timezone"),
        ("delimiter: ab" + BASE, "delimiter"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_mapping(text, "mine.yaml")
    assert words in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_presets_and_what_is_neither() -> None:
    assert presets() == ["gentd26", "litellm"]
    for name in presets():
        assert load(name).source == name
    with pytest.raises(InvalidInput, match="gentd26, litellm"):
        load("gentd27")


def test_the_example_of_the_documentation_is_valid() -> None:
    assert mapping_module.__doc__ is not None
    lines = mapping_module.__doc__.splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    mapping = parse_mapping(example, "documentation")
    assert (mapping.source, mapping.delimiter) == ("shop-assistant", ";")
    assert set(mapping.columns) > {"source_id", "ttft_ms", "context"}


def test_a_file_without_the_columns_of_its_mapping(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInput, match=r"lacks the columns .*gmt_create, .*it has a, b"):
        import_file(settings, tmp_path / "rows.csv", "gentd26")


def test_a_mapping_without_a_source_needs_one(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(BASE)
    (tmp_path / "rows.csv").write_text("id,when\n1,2026-01-01T00:00:00Z\n")
    with pytest.raises(InvalidInput, match="names no source"):
        import_file(settings, tmp_path / "rows.csv", tmp_path / "mapping.yaml")
    assert import_file(settings, tmp_path / "rows.csv", tmp_path / "mapping.yaml", source="mine").added == 1


SPEND_LOGS = [
    {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": "sk-secret-key",
        "spend": 0.00125,
        "total_tokens": 30,
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "startTime": "2026-03-01 10:00:00.000",
        "endTime": "2026-03-01 10:00:02.500",
        "completionStartTime": "2026-03-01 10:00:00.400",
        "model": "gpt-4o-mini",
        "model_group": "fast",
        "custom_llm_provider": "openai",
        "user": "u",
        "metadata": {"user_api_key": "sk-secret-key"},
        "cache_hit": "False",
        "request_tags": ["blue"],
        "team_id": "team-a",
        "end_user": "customer-1",
        "messages": {"prompt": "a secret prompt"},
        "response": {},
        "session_id": "session-1",
        "status": "success",
    },
    {
        "request_id": "chatcmpl-2",
        "call_type": "acompletion",
        "api_key": "sk-secret-key",
        "spend": 0.0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "startTime": "2026-03-01T10:00:05Z",
        "endTime": "2026-03-01T10:00:06Z",
        "model": "gpt-4o-mini",
        "model_group": "",
        "metadata": json.dumps({"error_information": {"error_class": "RateLimitError", "error_code": "429"}}),
        "cache_hit": "None",
        "team_id": None,
        "end_user": "customer-2",
        "status": "failure",
    },
    {"request_id": "chatcmpl-3", "api_key": "sk-secret-key", "status": "odd", "startTime": "?", "endTime": "?"},
]


def test_litellm_spend_logs(settings: Settings, tmp_path: Path, stored: Any) -> None:
    (tmp_path / "logs.jsonl").write_text("\n".join(map(json.dumps, SPEND_LOGS)))
    report = import_file(settings, tmp_path / "logs.jsonl", "litellm")
    assert (report.added, report.rejected, report.by_outcome) == (2, 1, {"success": 1, "failure": 1})
    first, second = stored()
    expected = {
        "source_id": "chatcmpl-1",
        "component": "router:fast",
        "component_kind": "llm_router",
        "action": "gpt-4o-mini",
        "request_model": "gpt-4o-mini",
        "tenant": "team-a",
        "unit_key": "customer-1",
        "duration_ms": 2500.0,
        "ttft_ms": 400.0,
        "provider_name": "openai",
        "input_tokens": 20,
        "output_tokens": 10,
        "cost_amount": 0.00125,
        "cost_currency": "USD",
        "trace_id": "session-1",
        "cache_hit": False,
        "propensity": None,
    }
    assert {name: first[name] for name in expected} == expected
    assert json.loads(first["tags"]) == {"call_type": "acompletion", "model_group": "fast", "request_tags": ["blue"]}
    assert (second["component"], second["error_type"], second["tenant"], second["cache_hit"]) == (
        "router:gpt-4o-mini",
        "RateLimitError",
        "customer-2",
        None,
    )
    assert report.quarantine is not None
    everything = Path(report.quarantine).read_text() + json.dumps([first, second], default=str)
    assert "secret" not in everything
