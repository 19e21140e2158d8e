"""The three classifiers: trained and judged on different images, and a real trade-off between them."""

import time
from collections.abc import Callable

import pytest

from cogorch_dagster.errors import InvalidInput
from cogorch_dagster.lab import digits, models


@pytest.fixture(scope="module")
def trained() -> dict[str, models.TrainedModel]:
    return {name: models.train(name) for name in models.MODELS}


def test_no_held_out_image_was_trained_on() -> None:
    training, held_out = digits.split()
    seen = {image.tobytes() for image in training.pixels}
    assert len(training) + len(held_out) == 1797
    assert not any(image.tobytes() in seen for image in held_out.pixels)


def test_a_larger_model_is_right_more_often_and_works_more(trained: dict[str, models.TrainedModel]) -> None:
    linear, forest, ensemble = trained["digits-linear"], trained["digits-forest"], trained["digits-ensemble"]
    assert 0.85 < linear.accuracy < 0.92
    assert 0.95 < forest.accuracy < ensemble.accuracy
    _, held_out = digits.split()
    pixels = held_out.pixels[0].tolist()

    def cost(model: models.TrainedModel) -> float:
        return _cpu_seconds(lambda: model.answer(pixels)) * model.spec.usd_per_compute_second

    # The forest must stay a bargain next to the ensemble for the router to have something to learn.
    assert cost(linear) < cost(forest) < cost(ensemble) / 4


def test_training_is_repeatable(trained: dict[str, models.TrainedModel]) -> None:
    _, held_out = digits.split()
    for name, model in trained.items():
        again = models.train(name)
        assert (again.predict(held_out.pixels) == model.predict(held_out.pixels)).all()


def test_one_image_gets_the_answer_it_gets_in_a_batch(trained: dict[str, models.TrainedModel]) -> None:
    _, held_out = digits.split()
    for model in trained.values():
        batch = model.predict(held_out.pixels[:20]).tolist()
        assert [model.answer(image.tolist()) for image in held_out.pixels[:20]] == batch


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="digits-forest"):
        models.train("digits-oracle")


def _cpu_seconds(work: Callable[[], object], times: int = 30) -> float:
    work()
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times
