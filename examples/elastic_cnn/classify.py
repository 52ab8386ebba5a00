"""Classify an image with an exported network: python classify.py model.onnx picture.png; needs onnxruntime alone."""

import sys

import numpy as np
import onnxruntime
from PIL import Image


def classify(model: str, picture: str) -> int:
    """Return the class index of a picture; the file crops, resizes and normalizes itself."""
    session = onnxruntime.InferenceSession(model)
    pixels = np.asarray(Image.open(picture).convert("RGB"), dtype=np.float32).transpose(2, 0, 1)[None] / 255
    (logits,) = session.run(None, {session.get_inputs()[0].name: pixels})
    return int(logits.argmax())


if __name__ == "__main__":
    print(classify(*sys.argv[1:3]))
