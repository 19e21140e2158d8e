"""Games in normal form, what a mix of actions is worth in them, and the proof that an answer is an equilibrium.

The proof is the NashConv (Lanctot et al. 2017, "A unified game-theoretic approach to multiagent reinforcement
learning", section 3.2): what all players together could still gain if each deviated alone. It is zero exactly at Nash
equilibria, and it is computed here from the payoffs, whichever solver gave the answer. Not here: how answers are found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogorch_dagster.errors import InvalidInput

Floats: TypeAlias = NDArray[np.float64]
Profile: TypeAlias = tuple[Floats, ...]
Concept: TypeAlias = Literal["pure nash", "mixed nash", "coarse correlated"]

MOST_ENTRIES = 10_000_000
MOST_PLAYERS = 60
LARGEST_PAYOFF = 1e100
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Game:
    """A game in normal form: who plays, what each may do, and what everybody gets then.

    Attributes:
        payoffs: float64 [n, A_1, ..., A_n], read-only; `payoffs[i][a]` is what player i gets when a is played.
        players: n names, all different.
        actions: for each player the names of its A_i actions, all different.

    Raises:
        InvalidInput: payoffs are not finite or above 1e100, shapes and names disagree, or there are more than
            10 million entries or 60 players.
    """

    payoffs: Floats
    players: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "players", tuple(self.players))
        object.__setattr__(self, "actions", tuple(tuple(names) for names in self.actions))
        _check_names(self.players, self.actions)
        given = np.asarray(self.payoffs)
        _check_payoffs(given, self.players, self.actions)
        payoffs = np.array(given, dtype=np.float64, order="C")
        payoffs.setflags(write=False)
        object.__setattr__(self, "payoffs", payoffs)

    @property
    def n_players(self) -> int:
        return len(self.players)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many actions each player has, (A_1, ..., A_n)."""
        return self.payoffs.shape[1:]

    @cached_property
    def range(self) -> float:
        """The largest payoff of anybody less the smallest of anybody; 0 if all are equal."""
        return float(self.payoffs.max() - self.payoffs.min())


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """An answer and its proof.

    Attributes:
        profile: a distribution over its actions for each player; of a coarse correlated answer the marginals.
        nash_conv: sum of what each could gain by deviating alone (of a coarse correlated answer: from the joint
            distribution, by committing to one action beforehand), in units of payoff.
        relative: nash_conv / range of the game, 0 where all payoffs are equal.
        welfare: sum of the players' expected payoffs.
        seconds: wall time that the search took.
        correlated: joint distribution [A_1, ..., A_n] of a coarse correlated answer, else None.
    """

    profile: Profile
    concept: Concept
    method: str
    nash_conv: float
    relative: float
    welfare: float
    seconds: float
    correlated: Floats | None = None


def named_game(
    payoffs: ArrayLike, players: Sequence[str] | None = None, actions: Sequence[Sequence[str]] | None = None
) -> Game:
    """A game from payoffs [n, A_1, ..., A_n]; without names the players and actions are numbered from 1.

    Raises:
        InvalidInput: as `Game`.
    """
    try:
        array = np.asarray(payoffs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"payoffs must be numbers in nested lists of equal lengths: {error}") from error
    if players is None:
        players = tuple(f"player {i + 1}" for i in range(len(array) if array.ndim else 0))
    if actions is None:
        actions = tuple(tuple(str(k + 1) for k in range(size)) for size in array.shape[1:])
    return Game(array, tuple(players), tuple(tuple(names) for names in actions))


def action_values(game: Game, profile: Profile) -> tuple[Floats, ...]:
    """For each player the expected payoffs [A_i] of its pure actions against the others' mixes.

    `profile` is taken as it is, so that solvers may ask off the simplex; `deviation_gains` checks it.
    """
    return tuple(_values_of(game.payoffs[i], profile, i) for i in range(game.n_players))


def expected_payoffs(game: Game, profile: Profile) -> Floats:
    """Expected payoff [n] of each player when all mix independently."""
    values = action_values(game, profile)
    return np.array([float(mix @ value) for mix, value in zip(profile, values, strict=True)])


def deviation_gains(game: Game, profile: Profile) -> Floats:
    """What each player [n] could gain by its best deviation while the others stay; all at least 0.

    Raises:
        InvalidInput: `profile` is not one distribution over its actions for each player.
    """
    check_profile(game, profile)
    values = action_values(game, profile)
    # max(v) - x·v, written as a mean of differences: no cancellation between large payoffs.
    return np.array([float(mix @ (value.max() - value)) for mix, value in zip(profile, values, strict=True)])


def nash_conv(game: Game, profile: Profile) -> float:
    """Sum of the deviation gains, at least 0, and 0 exactly at Nash equilibria.

    Raises:
        InvalidInput: as `deviation_gains`.
    """
    return float(deviation_gains(game, profile).sum())


def verified(game: Game, profile: Profile, method: str, seconds: float) -> Equilibrium:
    """An answer in independent mixes with its proof computed from the payoffs; pure if each plays one action.

    Raises:
        InvalidInput: as `deviation_gains`.
    """
    conv = nash_conv(game, profile)
    pure = all(int(np.count_nonzero(mix)) == 1 for mix in profile)
    return Equilibrium(
        profile=profile,
        concept="pure nash" if pure else "mixed nash",
        method=method,
        nash_conv=conv,
        relative=relative_to_range(game, conv),
        welfare=float(expected_payoffs(game, profile).sum()),
        seconds=seconds,
    )


def relative_to_range(game: Game, amount: float) -> float:
    """`amount` in units of the game's payoff range; as it is where all payoffs are equal."""
    return amount / game.range if game.range > 0 else amount


def pure_profile(game: Game, joint: Sequence[int]) -> Profile:
    """The profile in which player i plays action `joint[i]` for certain."""
    return tuple(np.eye(1, size, int(a))[0] for size, a in zip(game.shape, joint, strict=True))


def check_profile(game: Game, profile: Profile) -> None:
    """Refuse anything but one distribution over its actions for each player (sums to 1 within 1e-9).

    Raises:
        InvalidInput: with the player and what is wrong.
    """
    if len(profile) != game.n_players:
        raise InvalidInput(f"the profile has {len(profile)} mixes, the game has {game.n_players} players")
    for name, size, mix in zip(game.players, game.shape, profile, strict=True):
        if mix.shape != (size,):
            raise InvalidInput(f"the mix of {name!r} has shape {mix.shape}, it has {size} actions")
        total = float(mix.sum())
        if not mix.min() >= 0 or not abs(total - 1) <= _SUM_TOLERANCE:  # so written, NaN is refused too
            raise InvalidInput(
                f"the mix of {name!r} must be probabilities that sum to 1; its least is {mix.min()}, its sum {total}"
            )


def _values_of(payoffs: Floats, profile: Profile, player: int) -> Floats:
    """Contract one player's payoffs over all other axes, each time over the outermost: plain matrix-vector products."""
    left = payoffs
    for mix in reversed(profile[player + 1 :]):
        left = left @ mix
    for mix in profile[:player]:
        left = (mix @ left.reshape(len(mix), -1)).reshape(left.shape[1:])
    return np.asarray(left, dtype=np.float64)


def _check_names(players: tuple[str, ...], actions: tuple[tuple[str, ...], ...]) -> None:
    if not players:
        raise InvalidInput("a game needs at least 1 player, got none")
    if len(players) > MOST_PLAYERS:
        raise InvalidInput(f"the game has {len(players)} players, at most {MOST_PLAYERS} are supported")
    if len(set(players)) != len(players):
        raise InvalidInput(f"players must have different names, got {', '.join(players)}")
    if len(actions) != len(players):
        raise InvalidInput(
            f"there are {len(players)} players and actions for {len(actions)} of them; give one list each"
        )
    for name, own in zip(players, actions, strict=True):
        if not own:
            raise InvalidInput(f"player {name!r} needs at least 1 action, got none")
        if len(set(own)) != len(own):
            raise InvalidInput(f"the actions of {name!r} must have different names, got {', '.join(own)}")


def _check_payoffs(
    payoffs: NDArray[np.generic], players: tuple[str, ...], actions: tuple[tuple[str, ...], ...]
) -> None:
    expected = (len(players), *(len(own) for own in actions))
    if payoffs.shape != expected:
        raise InvalidInput(f"payoffs have shape {payoffs.shape}, the names of players and actions ask for {expected}")
    if payoffs.size > MOST_ENTRIES:
        raise InvalidInput(
            f"the game has {payoffs.size:,} payoffs, at most {MOST_ENTRIES:,} are supported; merge actions"
        )
    if payoffs.dtype.kind not in "fiub":
        raise InvalidInput(f"payoffs must be numbers, got an array of {payoffs.dtype}")
    finite = np.abs(payoffs.astype(np.float64)) <= LARGEST_PAYOFF
    if not finite.all():
        place = np.unravel_index(int(np.argmin(finite)), payoffs.shape)
        joint = ", ".join(names[k] for names, k in zip(actions, place[1:], strict=True))
        raise InvalidInput(
            f"the payoff of {players[place[0]]!r} at ({joint}) is {payoffs[place]}, "
            f"payoffs must be finite and at most {LARGEST_PAYOFF:g} in size"
        )
