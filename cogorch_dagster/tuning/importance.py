"""How much each hyperparameter has to do with a trial being among the best of its study.

PED-ANOVA (Watanabe, Bansal and Hutter 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
subspaces"), as Optuna has it: it costs milliseconds, where a forest of trees costs seconds.
"""

import warnings

from cogorch_dagster.tuning.trials import Trials

# Below it any split of the trials is a matter of chance.
FEWEST_TRIALS = 8
# Trials that count as the best: a tenth, but not fewer than a density can be fitted to.
_SHARE, _FEWEST_BEST = 0.1, 4


def importances(trials: Trials) -> dict[str, float]:
    """Shares by hyperparameter for the score, the largest first, sum 1; empty with fewer than FEWEST_TRIALS complete.

    They tell where the good trials of this study lie, not what a change of one parameter alone would bring.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import FrozenTrial, TrialState

    def value(trial: FrozenTrial) -> float:
        return -float(trial.values[0])

    study = trials.optuna_study()
    complete = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    if complete < FEWEST_TRIALS:
        return {}
    share = max(_SHARE, _FEWEST_BEST / complete)
    # Experimental, and it says that with a target of its own it takes lower for better, which `value` heeds.
    with warnings.catch_warnings(action="ignore"):
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share), target=value)
    return {name: float(value) for name, value in found.items()}
