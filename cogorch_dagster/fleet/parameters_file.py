"""A fleet's parameters in a file, YAML or JSON, as `FleetParameters` has them."""

from pathlib import Path

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.fleet.parameters import FleetParameters


def parameters_from_file(path: Path) -> FleetParameters:
    """The parameters in a file.

    Raises:
        InvalidInput: it cannot be read, is no YAML or JSON, or a value is missing, unknown or out of its range.
    """
    from pydantic import ValidationError

    from cogorch_dagster.policies import lined_yaml

    document, _ = lined_yaml.load(path)
    try:
        return FleetParameters.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'all'}: {each['msg']}" for each in error.errors()[:5])
        raise InvalidInput(f"{path} does not describe a fleet: {faults}") from error
