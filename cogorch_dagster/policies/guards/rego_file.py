"""A guard document written as one `.rego` file: the rule, and above it what the document needs besides.

The file begins with OPA's metadata (https://www.openpolicyagent.org/docs/policy-language#annotations), a comment in
YAML: `description`, or `title`, and under `custom` the `appliesTo` and `examples` of the document.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cogorch_dagster.errors import InvalidInput, reason_of
from cogorch_dagster.policies import kinds
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.schema import problems_of

MARK = "# METADATA"
MAX_BYTES = 1_000_000


def guard_from_rego(path: Path) -> dict[str, Any]:
    """Read, validate and complete the parameters of kind `guard` from a `.rego` file.

    Raises:
        InvalidInput: not readable, no metadata, or a rule that is not sound; one line `file: problem` for each.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"{path} is larger than {MAX_BYTES} bytes; a rule is a small document")
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {reason_of(error)}") from error
    about = _metadata(path, source)
    custom = about.get("custom") or {}
    if not isinstance(custom, dict):
        raise InvalidInput(f"{path}: `custom` of the metadata is a mapping, not {custom!r}")
    params = {**custom, "description": about.get("description") or about.get("title"), "rego": source}
    try:
        model = kinds.model_of("guard").model_validate(params, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidInput("\n".join(f"{path}: {message}" for _, message in problems_of(error))) from error
    return as_document(model.model_dump(mode="json", by_alias=True))


def _metadata(path: Path, source: str) -> dict[str, Any]:
    lines = source.splitlines()
    if MARK not in lines:
        raise InvalidInput(f"{path} has no metadata: above `package guard` write `{MARK}` and `# description: ...`")
    first = lines.index(MARK) + 1
    block = []
    for line in lines[first:]:
        if not line.startswith("#"):
            break
        block.append(line.removeprefix("#").removeprefix(" "))
    try:
        about = yaml.safe_load("\n".join(block))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{first + mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{place}: the metadata is not YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(about, dict):
        raise InvalidInput(f"{path}:{first}: the metadata is a mapping, such as `# description: ...`")
    return about
