"""Taking other settings over in the middle of a training, between two steps: what may change, and all or nothing.

What a changed setting means to rows and rollouts that are there already is said in `replay.py` and `rollout.py`.
"""

from collections.abc import Mapping
from typing import Any

from cogorch_dagster.agents import algorithms
from cogorch_dagster.errors import InvalidInput


def other_settings(name: str, present: Any, configuration: Mapping[str, Any], fixed: tuple[str, ...]) -> Any:
    """The settings (the algorithm's dataclass) that a learner would have after the change; nothing is changed yet.

    Args:
        name: of the algorithm.
        present: its settings.
        configuration: settings by name, as JSON; those left out stay as they are, also within a nested one.
        fixed: settings that a learner in training cannot change.

    Raises:
        InvalidInput: an unknown setting, one out of its range, or another value for one that is fixed.
    """
    found = algorithms.changed(name, present, configuration)
    wrong = [
        f"{each} is {getattr(present, each)!r} and cannot become {getattr(found, each)!r}"
        for each in fixed
        if getattr(found, each) != getattr(present, each)
    ]
    if wrong:
        raise InvalidInput(
            f"{'; '.join(wrong)} in a learner of {name} that is in training: that takes effect with the next training"
        )
    return found


def swap(*changes: tuple[object, Mapping[str, Any]]) -> None:
    """Set attributes of several objects, all or none: whatever interrupts this, the old ones are put back."""
    before = [(each, {name: getattr(each, name) for name in values}) for each, values in changes]
    try:
        for each, values in changes:
            vars(each).update(values)
    except BaseException:
        for each, values in before:
            vars(each).update(values)
        raise
