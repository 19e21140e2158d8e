"""Parameters from a file: YAML or JSON, every problem with the line where it stands."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.policies import kinds, lined_yaml
from cogorch_dagster.policies.document import as_document
from cogorch_dagster.policies.guards.rego_file import guard_from_rego
from cogorch_dagster.policies.schema import problems_of


def params_from_file(path: Path, kind: str) -> dict[str, Any]:
    """Read, validate and complete the parameters of a kind, as `drafts.propose_version` takes them.

    The file holds the parameters themselves, or the form of the seeds: them under the key `params`, with `kind`. For
    kind `guard` it may be Rego, `.rego`; see `guards.rego_file`.

    Raises:
        InvalidInput: not readable, larger than 1 MB, not YAML or JSON, a key given twice, or parameters that the
            kind refuses; one line `file:line: problem` for each problem.
    """
    if kind == "guard" and path.suffix.lower() == ".rego":
        return guard_from_rego(path)
    document, lines = lined_yaml.load(path)
    prefix: lined_yaml.Place = ()
    if isinstance(document.get("params"), dict):
        if document.get("kind", kind) != kind:
            raise InvalidInput(f"{path}:{lines[('kind',)]}: the file is of kind {document['kind']!r}, not {kind!r}")
        document, prefix = document["params"], ("params",)
    model_class = kinds.model_of(kind)
    try:
        model = model_class.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = [
            f"{path}:{lined_yaml.line(lines, (*prefix, *place))}: {message}"
            for place, message in problems_of(error, model_class)
        ]
        raise InvalidInput("\n".join(problems)) from error
    return as_document(model.model_dump(mode="json", by_alias=True))
