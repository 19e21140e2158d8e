"""Background knowledge that follows from the variables themselves: what comes before what, and what is arithmetic."""

from itertools import permutations

from cogorch_dagster.causal.data.dataset import CausalDataset
from cogorch_dagster.causal.data.lake.variables import PARAMETER, SHARE, TENANT
from cogorch_dagster.causal.graphs.knowledge import Knowledge

_ALIKE = (PARAMETER, SHARE, TENANT)


def default_knowledge(data: CausalDataset) -> Knowledge:
    """No variable causes one of an earlier tier; parameters, shares of arms and shares of tenants not one another.

    Parameters are set together by whoever proposes a version, and shares add up to 1: neither is a cause. Replicas and
    other settings may follow the parameters, which they never cause. Data of a single tier, as of a file, say nothing.
    """
    numbers = sorted({variable.tier for variable in data.variables})
    tiers = tuple(tuple(each.name for each in data.variables if each.tier == number) for number in numbers)
    tier = {variable.name: variable.tier for variable in data.variables}
    forbidden = set()
    for prefix in _ALIKE:
        alike = [name for name in data.names if name.startswith(prefix)]
        forbidden |= {
            (a, b)
            for a, b in permutations(alike, 2)
            # A column of an earlier row may cause a later one, of itself above all.
            if tier[a] == tier[b]
        }
    for parameter in (name for name in data.names if name.startswith(PARAMETER)):
        forbidden |= {
            (other.name, parameter)
            for other in data.variables
            if other.tier == tier[parameter] and other.role == "policy" and other.name != parameter
        }
    return Knowledge(tiers=tiers if len(tiers) > 1 else (), forbidden=frozenset(forbidden))
