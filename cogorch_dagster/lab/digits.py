"""The lab's task: scikit-learn's 8x8 handwritten digits, split once into images to learn from and images to ask about.

Servers train on the first half, the load asks about the second: an accuracy measured by the load is a held-out one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIXELS = 64
BRIGHTEST = 16.0
SPLIT_SEED = 20_241_115


@dataclass(frozen=True)
class Images:
    """Flattened images (n x 64, grey levels 0 to 16) and the digit each one shows."""

    pixels: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def split() -> tuple[Images, Images]:
    """Training and held-out images, half each, stratified by digit; the same halves in every process."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    train, held_out, train_labels, held_out_labels = train_test_split(
        pixels, labels, test_size=0.5, random_state=SPLIT_SEED, stratify=labels
    )
    return Images(train, train_labels), Images(held_out, held_out_labels)
