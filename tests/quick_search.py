"""A search from the command line that takes a second: OFA's accuracy predictor with random weights, and no images."""

from pathlib import Path

import torch

WORDS = (
    "evaluator=predictor",
    "supernet=ofa_w10",
    "supernet.checkpoint=random",
    "supernet.resolutions=[160,208]",
    "evaluator.checkpoint=predictor.pth",
    "tracker=csv",
    "algorithm=random",
    "algorithm.n_doe=6",
    "algorithm.n_iter=2",
    "algorithm.iterations=2",
    "paths.run=run",
)


def write_predictor(path: Path) -> Path:
    """Write a predictor with random weights."""
    sizes = [(400, 128), (400, 400), (400, 400), (1, 400)]
    tensors = {}
    for i, (outputs, inputs) in enumerate(sizes):
        weights = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(i))
        tensors[f"{2 * i}.weight"] = weights / inputs**0.5
        tensors[f"{2 * i}.bias"] = torch.zeros(outputs)
    torch.save(tensors, path)
    return path
