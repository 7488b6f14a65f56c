"""Write scikit-learn's 1,797 handwritten digits as pictures, a folder per class.

They are of the UCI repository (E. Alpaydin and C. Kaynak, CC BY 4.0), and come with scikit-learn.
"""

from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """Write every fourth picture into ``test``, the others into ``train``."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = FOLDER / ("test" if number % 4 == 0 else "train") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((pixels * 15).astype("uint8"))
        picture.resize((28, 28), Image.Resampling.BILINEAR).save(folder / f"{number:04d}.png")


if __name__ == "__main__":
    main()
