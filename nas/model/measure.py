"""Outputs of a model on a split, and their accuracy and calibration."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas.dataset.base import Images
from nas.dataset.batches import Batches
from nas.errors import RunError
from nas.evaluator.accuracy import TOP_K, ranks
from nas.model.base import CASCADE, TIMM, Model
from nas.pool.timm_models import batches as timm_batches
from nas.pool.timm_models import transform_of
from nas.supernet.precision import mixed
from nas.types import PositiveInt, Progress


@dataclass(frozen=True)
class Answers:
    """Outputs of a model for b images.

    Attributes:
        logs: Logarithms of the probabilities, (b, c), on the CPU.
        predictions: Class indices of the answers, (b,), on the CPU.
        labels: Class indices that would be right, (b,), on the CPU.
        seconds: That the network itself took.
        costs: Cost of each image for a cascade, (b,), in millions of multiply-adds.
        stages: Index of the cascade stage that answers each image, (b,).
    """

    logs: Tensor
    predictions: Tensor
    labels: Tensor
    seconds: float
    costs: Tensor | None = None
    stages: Tensor | None = None


def answers_of(
    model: Model, images: Images, *, device: str, batch_size: PositiveInt, amp: bool, progress: Progress
) -> Iterator[Answers]:
    """Yield the outputs of a model, batch by batch, in the order of the images.

    Networks get images as in evaluations. timm models get images as in timm's own validation, from the original files.
    Cascades get images as the data set stores them, and each network resizes them.

    Args:
        model: On the device.
        images: At least one.
        device: Torch device of the model.
        batch_size: Number of images per batch.
        amp: Mixed precision of networks on a GPU.
        progress: Told about images.
    """
    done = 0
    with torch.inference_mode():
        for batch, labels in _batches(model, images, device, batch_size):
            with mixed(torch.device(device), amp and model.network is not None):
                _wait(device)
                start = time.perf_counter()
                found = (model.ready if model.network is None else model.network)(batch)
                _wait(device)
                seconds = time.perf_counter() - start
            if model.network is None:
                logs = found.probabilities.float().clamp(min=torch.finfo(torch.float32).tiny).log().cpu()
                yield Answers(logs, found.predictions.cpu(), labels, seconds, found.costs.cpu(), found.stages.cpu())
            else:
                logits = found.float()
                yield Answers(logits.log_softmax(dim=1).cpu(), logits.argmax(dim=1).cpu(), labels, seconds)
            done += len(labels)
            progress("images", done, len(images))


@final
class Tally:
    """Sums answers up.

    Attributes:
        confusion: Images of each class (row) by answer (column), (c, c).
    """

    def __init__(self, n_classes: PositiveInt, bins: PositiveInt) -> None:
        """Begin with no images; ``bins`` of equal width are what the calibration error compares confidences in."""
        self.confusion: npt.NDArray[np.int64] = np.zeros((n_classes, n_classes), dtype=np.int64)
        self._top, self._loss, self._class_confidence = 0, 0.0, np.zeros(n_classes)
        self._bins = np.zeros((3, bins))  # images, right answers, confidences
        self._seconds: list[tuple[int, float]] = []
        self._costs: list[Tensor] = []
        self._stages: list[Tensor] = []

    def add(self, answers: Answers) -> None:
        """Add a batch.

        Raises:
            RunError: If answers are not finite.
        """
        if not bool(torch.isfinite(answers.logs).all()):
            raise RunError("the model's answers are not finite: its weights or statistics do not fit it")
        labels, answered = answers.labels, answers.predictions.numpy()
        confidence = answers.logs.amax(dim=1).double().exp().numpy()
        self._top += int((ranks(answers.logs, labels) < TOP_K).sum())
        self._loss -= float(answers.logs.double().gather(1, labels[:, None]).sum())
        np.add.at(self.confusion, (labels.numpy(), answered), 1)
        np.add.at(self._class_confidence, labels.numpy(), confidence)
        n = self._bins.shape[1]
        place = np.clip(np.ceil(confidence * n).astype(np.int64) - 1, 0, n - 1)  # intervals are closed on the right
        for row, values in enumerate((np.ones(len(place)), answered == labels.numpy(), confidence)):
            np.add.at(self._bins[row], place, values)
        self._seconds.append((len(labels), answers.seconds))
        if answers.costs is not None and answers.stages is not None:
            self._costs.append(answers.costs)
            self._stages.append(answers.stages)

    @property
    def n_images(self) -> int:
        """The images so far."""
        return int(self.confusion.sum())

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the outputs, in percent except for ``loss`` in nats.

        ``calibration_error`` is the expected calibration error (Guo et al. 2017, equation 3): the mean distance of
        confidence and accuracy over bins of confidence, weighted by their images. Of a cascade there are also
        ``flops``, the average in millions of multiply-adds, and ``answered_<i>``, which share of the images gets its
        answer from the i-th network.
        """
        n, right = self.n_images, float(np.trace(self.confusion))
        gaps = np.abs(self._bins[1] - self._bins[2])  # already weighted: sums over a bin, not means
        found = {
            "top1": 100 * right / n,
            "top5": 100 * self._top / n,
            "loss": self._loss / n,
            "calibration_error": 100 * float(gaps.sum()) / n,
        }
        if self._costs:
            found["flops"] = float(torch.cat(self._costs).double().mean())
            stages = torch.cat(self._stages)
            found |= {f"answered_{i + 1}": 100 * float((stages == i).double().mean()) for i in range(self._n_stages())}
        return found

    def images_per_second(self) -> float:
        """Return the number of images a second; the first batch counts only if it is the only one."""
        counted = self._seconds[1:] or self._seconds
        return sum(n for n, _ in counted) / max(sum(seconds for _, seconds in counted), 1e-9)

    def classes(self) -> list[dict[str, Any]]:
        """Return a row for each class: images, correct images, predictions, and mean confidence in percent."""
        images, answered = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        right = np.diag(self.confusion)
        return [
            {
                "class": index,
                "images": int(images[index]),
                "right": int(right[index]),
                "answered": int(answered[index]),
                "top1": _share(right[index], images[index]),
                "precision": _share(right[index], answered[index]),
                "confidence": _share(self._class_confidence[index], images[index]),
            }
            for index in range(len(images))
        ]

    def _n_stages(self) -> int:
        return max(int(stages.max()) for stages in self._stages) + 1


def _batches(model: Model, images: Images, device: str, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the model's inputs, (b, 3, height, width), and the labels on the CPU."""
    described = model.described
    labels = torch.from_numpy(np.array(images.labels))
    if described["kind"] == CASCADE:
        for part in (slice(start, start + batch_size) for start in range(0, len(images), batch_size)):
            pixels = torch.from_numpy(np.array(images.pixels[part]))
            yield pixels.to(device).float() / 255, labels[part]
    elif described["kind"] == TIMM:
        assert model.network is not None
        transform, _ = transform_of(model.network, int(described["resolution"]))
        for rows, photos in timm_batches(images, transform, batch_size, device):
            yield photos, labels[rows.start : rows.stop]
    else:
        batches = Batches(
            images=images,
            mean=tuple(described["mean"]),
            std=tuple(described["std"]),
            device=device,
            crop=described["crop"],
            cache_bytes=0,
        )
        for batch, its in batches.sequential(int(described["resolution"]), batch_size):
            yield batch, its.cpu()


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _share(part: Any, whole: Any) -> float | None:
    return 100 * float(part) / float(whole) if whole else None
