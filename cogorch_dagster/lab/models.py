"""The classifiers of the lab: three sizes of one task, each trained where it serves, with a fixed seed, in a moment.

Cost is metered: CPU seconds of the serving thread times the price of a second on that size of server. The prices are
list prices of the lab in USD, in proportion 1:2:4 as machine sizes are sold, and of a height at which the best model's
answer costs about what an answer of a hosted language model does (0.0017).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab import digits

Predict = Callable[[NDArray[np.float64]], NDArray[np.int64]]


@dataclass(frozen=True)
class ModelSpec:
    """A servable model: how it is trained and what one CPU second of its server costs (USD)."""

    name: str
    usd_per_compute_second: float
    train: Callable[[digits.Images, int], Predict]


@dataclass(frozen=True)
class TrainedModel:
    """A model ready to serve, with its share of right answers on the held-out images (0 to 1)."""

    spec: ModelSpec
    predict: Predict
    accuracy: float

    def answer(self, pixels: list[float]) -> int:
        """The digit that one image of 64 grey levels shows."""
        return int(self.predict(np.asarray(pixels, dtype=np.float64).reshape(1, digits.PIXELS))[0])


def train(name: str, seed: int = 0) -> TrainedModel:
    """Train one model on the training half and measure it on the held-out half.

    Raises:
        InvalidInput: no model has that name.
    """
    spec = MODELS.get(name)
    if spec is None:
        raise InvalidInput(f"The lab has no model {name!r}; it has {', '.join(MODELS)}.")
    training, held_out = digits.split()
    predict = spec.train(training, seed)
    return TrainedModel(spec, predict, float(np.mean(predict(held_out.pixels) == held_out.labels)))


def _train_linear(images: digits.Images, seed: int) -> Predict:
    """Logistic regression on a 4x4 thumbnail: fast, cheap, and blind to fine strokes."""
    from sklearn.linear_model import LogisticRegression

    def thumbnail(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        means = pixels.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)) / digits.BRIGHTEST
        return np.asarray(means.reshape(len(pixels), 16))

    model = LogisticRegression(C=10.0, max_iter=2000, random_state=seed).fit(thumbnail(images.pixels), images.labels)
    return lambda pixels: np.asarray(model.predict(thumbnail(pixels)))


def _train_forest(images: digits.Images, seed: int) -> Predict:
    """Forty extremely randomised trees (Geurts et al. 2006) on all pixels."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(n_estimators=40, random_state=seed, n_jobs=1).fit(images.pixels, images.labels)
    return lambda pixels: np.asarray(model.predict(pixels))


def _train_ensemble(images: digits.Images, seed: int) -> Predict:
    """Twenty support vector machines on bootstrap samples (Breiman 1996), their margins added: best and dearest."""
    from sklearn.svm import SVC

    generator = np.random.default_rng(seed)
    members = []
    for _ in range(20):
        sample = generator.choice(len(images), len(images), replace=True)
        members.append(SVC(gamma=0.001, C=5.0).fit(images.pixels[sample], images.labels[sample]))
    digits_known = members[0].classes_

    def predict(pixels: NDArray[np.float64]) -> NDArray[np.int64]:
        margins = np.sum([member.decision_function(pixels) for member in members], axis=0)
        return np.asarray(digits_known[np.argmax(margins, axis=1)])

    return predict


MODELS = {
    spec.name: spec
    for spec in (
        ModelSpec("digits-linear", 0.03, _train_linear),
        ModelSpec("digits-forest", 0.06, _train_forest),
        ModelSpec("digits-ensemble", 0.12, _train_ensemble),
    )
}
