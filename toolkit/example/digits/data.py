"""scikit-learn's handwritten digits: 60 % to train on, 40 % held out to judge by."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def _split():
    digits = load_digits()
    images = digits.images[..., None].astype("uint8")
    return train_test_split(
        images, digits.target, test_size=718, random_state=0, stratify=digits.target
    )


def train():
    """Load 1,079 images [N, 8, 8, 1] of 0..16, and their digits."""
    x, _, y, _ = _split()
    return x, y


def test():
    """Load 718 images, and their digits."""
    _, x, _, y = _split()
    return x, y
