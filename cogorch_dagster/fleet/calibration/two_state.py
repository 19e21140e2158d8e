"""A hidden Markov chain of two states over minutes (calm and burst, well and in an incident), fitted by EM.

Forward and backward pass and the update of the transitions after Rabiner, Proc. IEEE 77 (1989), section III; what a
minute's count says of its state is the caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Long series are cut into pieces that are passed through side by side; each starts from the stationary law.
PIECE = 120
ROUNDS = 25
# A gain of log-likelihood that no conclusion hangs on.
ENOUGH = 0.02


@dataclass(frozen=True)
class Chain:
    """Of n minutes.

    Attributes:
        second: probability [n] that the minute is in the second state.
        begins: expected number of beginnings of the second state in the minutes that were observed.
        begin, end: probabilities per minute to enter and to leave the second state.
        log_likelihood: of the observed minutes.
    """

    second: Floats
    begins: float
    begin: float
    end: float
    log_likelihood: float


def pass_through(logs: Floats, begin: float, end: float, observed: NDArray[np.bool_]) -> tuple[Chain, float, float]:
    """Posterior of the states given log-likelihoods [2, n] of each minute (0 where nothing was observed).

    Returns the chain and the transitions' next values in EM.
    """
    n = logs.shape[1]
    length = min(PIECE, n)
    pieces = -(-n // length)
    padded = np.zeros((2, pieces * length))
    padded[:, :n] = np.where(observed, logs, 0.0)
    top = padded.max(axis=0)
    weights = np.exp(padded - top).reshape(2, pieces, length).transpose(0, 2, 1)
    start = begin / (begin + end)
    filtered, norms, predicted = (np.empty((length, pieces)) for _ in range(3))
    ahead = np.full(pieces, start)
    for t in range(length):
        predicted[t] = ahead
        first, second = (1 - ahead) * weights[0, t], ahead * weights[1, t]
        norms[t] = first + second
        filtered[t] = second / norms[t]
        ahead = filtered[t] * (1 - end) + (1 - filtered[t]) * begin
    smoothed = np.empty((length, pieces))
    entered, left = np.zeros((length, pieces)), np.zeros((length, pieces))
    smoothed[-1] = filtered[-1]
    later = np.ones((2, pieces))
    for t in range(length - 2, -1, -1):
        calm, busy = weights[0, t + 1] * later[0] / norms[t + 1], weights[1, t + 1] * later[1] / norms[t + 1]
        entered[t] = (1 - filtered[t]) * begin * busy
        left[t] = filtered[t] * end * calm
        later = np.stack([(1 - begin) * calm + begin * busy, end * calm + (1 - end) * busy])
        smoothed[t] = filtered[t] * later[1]
    flat = smoothed.T.reshape(-1)[:n]
    seen = np.zeros(pieces * length, dtype=bool)
    seen[:n] = observed
    inner = seen.reshape(pieces, length).T & np.roll(seen, -1).reshape(pieces, length).T
    inner[-1] = False
    begins, ends = float(entered[inner].sum()), float(left[inner].sum())
    second_time = float(smoothed[inner].sum())
    first_time = float(inner.sum()) - second_time
    likelihood = float(np.log(norms).sum() + top.sum())
    chain = Chain(flat, begins, begin, end, likelihood)
    # As if half a change more had been seen in some time: no probability becomes 0 or 1.
    return chain, (begins + 0.05) / (first_time + 50), (ends + 0.5) / (second_time + 5)


def fit(emission: Callable[[Floats | None], Floats], begin: float, end: float, observed: NDArray[np.bool_]) -> Chain:
    """EM from the given transitions; `emission` takes the posterior (None at first) and returns logs [2, n]."""
    logs = emission(None)
    chain, begin, end = pass_through(logs, begin, end, observed)
    for _ in range(ROUNDS):
        before = chain.log_likelihood
        chain, begin, end = pass_through(emission(chain.second), begin, end, observed)
        if abs(chain.log_likelihood - before) < ENOUGH:
            break
    return chain
