"""What an autoscaler's document does with the replicas of simulated fleets, step by step.

The law is Kubernetes' (`agents.baselines.autoscaler.recommended`); steps at once and cooldowns are the document's. One
decision is taken per step of the fleets, so that cooldowns shorter than a step do not show.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cogorch_dagster.agents.baselines.autoscaler import recommended
from cogorch_dagster.agents.comparison.bootstrap import Floats
from cogorch_dagster.agents.recommendation.autoscaler_document import TOLERANCE


class ReplicaLaw:
    """Orders of one model's replicas in B fleets, from the beginning of their episode.

    Args:
        params: of kind autoscaler.
        most: the model's largest number of replicas; at least one stays.
        step_s: seconds between two decisions.
    """

    def __init__(self, params: Mapping[str, Any], most: int, step_s: float, fleets: int) -> None:
        self._params = params
        self._least = float(min(max(params["minReplicas"], 1), most))
        self._most = float(max(min(params["maxReplicas"], most), 1))
        self._step_ms = 1000 * step_s
        # Times since the last order of more and of fewer, in ms.
        self._since = np.full((2, fleets), np.inf)

    def desired(self, ready: Floats, starting: Floats, utilisation: Floats) -> Floats:
        """Replicas to have, [B].

        Args:
            ready, starting: replicas that serve, and that will. utilisation: of the ready ones.
        """
        params = self._params
        ordered = np.clip(ready + starting, self._least, self._most)
        target = recommended(ready, starting, utilisation, target=params["targetUtilization"], tolerance=TOLERANCE)
        gap = np.clip(target, self._least, self._most) - ordered
        more = np.where(self._since[0] >= params["scaleUpCooldownMs"], np.clip(gap, 0, params["scaleUpStep"]), 0.0)
        fewer = np.where(
            self._since[1] >= params["scaleDownCooldownMs"], np.clip(-gap, 0, params["scaleDownStep"]), 0.0
        )
        self._since = np.where(np.stack([more, fewer]) > 0, 0.0, self._since) + self._step_ms
        return np.asarray(ordered + more - fewer)
