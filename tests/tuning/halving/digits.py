"""Small networks that learn scikit-learn's digits, as a training that can be left at any epoch and taken up again.

As an agent is trained with several seeds, so a trial is several networks that differ in what chance gives them.

The same scheduler that searches architectures of agents searches it in `benchmarks/tuning_steps.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import fmean
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from torch import Tensor, nn

from cogorch_dagster.agents import checkpoints
from cogorch_dagster.agents.checkpoints import Checkpoint
from cogorch_dagster.lab.digits import BRIGHTEST, PIXELS, split
from cogorch_dagster.tuning.halving.resumable import Reached
from cogorch_dagster.tuning.seeds import training_seed

ACTIVATIONS = {"relu": torch.relu, "silu": nn.functional.silu, "tanh": torch.tanh}
SPACE: dict[str, BaseDistribution] = {
    "layers": IntDistribution(1, 3),
    "width": IntDistribution(8, 128, log=True),
    "activation": CategoricalDistribution(sorted(ACTIVATIONS)),
    "dropout": FloatDistribution(0, 0.5),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "batch": IntDistribution(32, 256, log=True),
}


@cache
def data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images and labels to learn from, and others to judge by."""
    train, held_out = split()
    return (
        torch.as_tensor(train.pixels / BRIGHTEST, dtype=torch.float32),
        torch.as_tensor(train.labels),
        torch.as_tensor(held_out.pixels / BRIGHTEST, dtype=torch.float32),
        torch.as_tensor(held_out.labels),
    )


@dataclass(frozen=True)
class DigitsTrials:
    """The `Resumable`; a step is an epoch of every network. The learning rate falls in a line to 0 over `full` epochs.

    Attributes:
        full: epochs of a whole training.
        seed: of the study; those of the networks follow from it, the same for every trial.
        networks: that a trial trains, from 1.
    """

    full: int
    seed: int
    networks: int = 1

    def start(self, params: Mapping[str, Any]) -> "DigitsTraining":
        networks = [Network(self.full, training_seed(self.seed, each), params) for each in range(self.networks)]
        return DigitsTraining(params, networks)

    def resume(self, params: Mapping[str, Any], content: bytes) -> "DigitsTraining":
        found, parts = self.start(params), checkpoints.unpack(content).parts
        for number, network in enumerate(found.networks):
            network.restore(parts[str(number)])
        return found


@dataclass(frozen=True, eq=False)
class DigitsTraining:
    """A `Training`: the same parameters learned by each network; the score is their mean held-out log-likelihood."""

    params: Mapping[str, Any]
    networks: "list[Network]"

    def reach(self, level: int, stop: Callable[[], bool]) -> Reached | None:
        for network in self.networks:
            while network.epochs < level:
                if stop():
                    return None
                network.learn()
        judged = [network.judged() for network in self.networks]
        return Reached(fmean(score for score, _ in judged), {"accuracy": fmean(accuracy for _, accuracy in judged)})

    def checkpoint(self) -> bytes:
        parts = {str(number): network.parts() for number, network in enumerate(self.networks)}
        first = self.networks[0]
        about = {"agent": "digits", "algorithm": "mlp", "configuration": dict(self.params), "calibration": "digits"}
        sizes = {"states": PIXELS, "actions": 10, "steps": first.epochs, "seed": first.seed}
        return checkpoints.pack(Checkpoint(**about, **sizes, metrics={}, parts=parts))


class Network:
    """One network in training with Adam and decoupled weight decay."""

    def __init__(self, full: int, seed: int, params: Mapping[str, Any]) -> None:
        self.full, self.seed, self.params, self.epochs = full, seed, params, 0
        self.generator = torch.Generator().manual_seed(seed)
        sizes = [PIXELS, *[params["width"]] * params["layers"], 10]
        self.weights: list[Tensor] = []
        for fan_in, fan_out in pairwise(sizes):
            weight = torch.randn(fan_out, fan_in, generator=self.generator) * (2 / fan_in) ** 0.5
            self.weights += [weight.requires_grad_(), torch.zeros(fan_out, requires_grad=True)]
        self.optimizer = torch.optim.AdamW(self.weights, params["learning_rate"], weight_decay=params["weight_decay"])

    def judged(self) -> tuple[float, float]:
        """Mean log-likelihood of the held-out labels, and the share that is right."""
        pixels, labels = data()[2:]
        with torch.no_grad():
            logits = self._logits(pixels, training=False)
        accuracy = float((logits.argmax(1) == labels).double().mean())
        return -float(nn.functional.cross_entropy(logits, labels)), accuracy

    def parts(self) -> dict[str, Any]:
        state = self.optimizer.state_dict()["state"]
        return {
            "epochs": self.epochs,
            "weights": [weight.detach() for weight in self.weights],
            "moments": {key: dict(value) for key, value in state.items()},
            "generator": self.generator.get_state(),
        }

    def restore(self, parts: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for weight, saved in zip(self.weights, parts["weights"], strict=True):
                weight.copy_(saved)
        state = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**state, "state": parts["moments"]})
        self.generator.set_state(parts["generator"])
        self.epochs = parts["epochs"]

    def learn(self) -> None:
        """One epoch."""
        pixels, labels = data()[:2]
        for group in self.optimizer.param_groups:
            group["lr"] = self.params["learning_rate"] * (1 - self.epochs / self.full)
        for rows in torch.randperm(len(labels), generator=self.generator).split(self.params["batch"]):
            loss = nn.functional.cross_entropy(self._logits(pixels[rows], training=True), labels[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.epochs += 1

    def _logits(self, found: Tensor, *, training: bool) -> Tensor:
        activation, dropout = ACTIVATIONS[self.params["activation"]], self.params["dropout"]
        for layer in range(0, len(self.weights) - 2, 2):
            found = activation(found @ self.weights[layer].T + self.weights[layer + 1])
            if training and dropout:
                kept = torch.rand(found.shape, generator=self.generator) >= dropout
                found = found * kept / (1 - dropout)
        return found @ self.weights[-2].T + self.weights[-1]
