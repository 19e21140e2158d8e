"""A fleet's parameters in a file, YAML or JSON, as `FleetParameters` has them."""

from pathlib import Path

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters


def parameters_from_file(path: Path) -> FleetParameters:
    """The parameters in a file.

    Raises:
        InvalidInput: it cannot be read, is no YAML or JSON, or a value is missing, unknown or out of its range.
    """
    import yaml
    from pydantic import ValidationError

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read as YAML or JSON: {error}") from error
    try:
        return FleetParameters.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in error.errors()[:5])
        raise InvalidInput(f"{path} does not describe a fleet: {faults}") from error
