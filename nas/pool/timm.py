"""``pool=timm``: models of the package timm on any data set."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch

from nas.dataset.base import Dataset, Images
from nas.dataset.classes import taken_in_order
from nas.errors import UserError
from nas.files import expanded
from nas.pool.base import SPLITS, Split
from nas.pool.model import Computed, PoolModel, SplitOutputs, from_logits
from nas.pool.stored_pool import StoredPool
from nas.pool.timm_models import HUB, RANDOM, batches, counted, make_model, model_names, transform_of, weights_identity
from nas.supernet.checkpoint import weights_digest
from nas.types import NonNegativeInt, PositiveInt, Progress

logger = logging.getLogger(__name__)


@final
class TimmPool(StoredPool):
    """Pool of timm models.

    Each model uses the resolution, interpolation, crop, mean and standard deviation that its weights were trained with.
    Models that cannot be loaded or run are left out and named once in a warning.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.dataset.none import NoImages
        >>> from nas.pool.timm import TimmPool
        >>> data = {"dataset": NoImages(), "device": "cpu"}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pool = TimmPool(models=("resnet18",), weights="random", cache=Path(folder), **data)
        >>> pool.has_outputs
        True
    """

    def __init__(
        self,
        *,
        models: tuple[str, ...] | Literal["published"] = ("efficientnet_lite*",),
        weights: str = "hub",
        resolutions: tuple[PositiveInt, ...] | None = None,
        batch_size: PositiveInt = 128,
        workers: PositiveInt = 1,
        seed: NonNegativeInt = 0,
        dataset: Dataset,
        device: str,
        cache: Path,
    ) -> None:
        """Find the models.

        Args:
            models: Names and patterns of timm models, or ``"published"`` for the 518 models that ENCAS was applied to.
            weights: Source of the weights: ``"hub"``, ``"random"``, or the path of a file or of a folder with a file
                for each model.
            resolutions: Sides of the square input, in pixels; ``None`` for each model's own. Each model is added once
                for each resolution.
            batch_size: Number of images per batch.
            workers: Number of models that are run in parallel.
            seed: Random seed of random weights.
            dataset: Data set with the images. They are read from their files in full detail unless the data set keeps
                them decoded.
            device: Torch device of the models.
            cache: Cache folder; outputs are stored in its subfolder ``outputs/``.

        Raises:
            UserError: If timm does not know a model, or the path in ``weights`` does not exist.
        """
        super().__init__(cache=cache, workers=workers, skip_failed=True)
        self._names = model_names(models if isinstance(models, str) else tuple(models))
        if weights not in (HUB, RANDOM) and not expanded(weights, "pool.weights").exists():
            raise UserError(f"pool.weights={weights} does not exist; give a file, a folder, {HUB} or {RANDOM}")
        self._weights = weights
        self._resolutions = [None] if resolutions is None else list(resolutions)
        self._batch_size = batch_size
        self._seed = seed
        self._dataset = dataset
        self._device = torch.device(device)

    def _models(self, progress: Progress) -> tuple[Sequence[PoolModel], Mapping[str, str]]:
        note = None if self._weights == RANDOM else taken_in_order("timm's models", self._dataset)
        if note:
            logger.warning(note)
        data = [self._dataset.fingerprint, type(self._dataset.split("validation").pixels).__name__]
        labels: dict[Split, Any] = {split: self._dataset.split(split).labels for split in SPLITS}
        models, failed = [], {}
        for name in self._names:
            try:
                known = {"kind": "timm", "data": data, "device": self._device.type}
                known |= weights_identity(name, self._weights, self._seed)
            except UserError as error:
                failed[f"timm/{name}"] = str(error)
                continue
            for resolution in self._resolutions:
                models.append(
                    PoolModel(
                        name=f"timm/{name}" + ("" if resolution is None else f"@{resolution}"),
                        group="timm",
                        architecture={"timm": name, "r": resolution},
                        identity=known | {"resolution": resolution, "batch_size": self._batch_size},
                        data={},
                        class_names=self._dataset.class_names,
                        labels=labels,
                        costs={},
                        run=partial(self._computed, name, resolution),
                    )
                )
        return models, failed

    @torch.inference_mode()
    def _computed(self, name: str, resolution: int | None) -> Computed:
        """Run one model on both splits."""
        network = make_model(name, self._weights, self._seed, self._dataset.n_classes, resolution)
        transform, side = transform_of(network, resolution)
        facts = {"weights": weights_digest(network.state_dict()), "r": side, "transform": str(transform)}
        network.to(self._device).to(memory_format=torch.channels_last)  # convolutions on the CPU are twice as fast
        costs = counted(network, side)
        found = {split: self._outputs_of(network, transform, self._dataset.split(split)) for split in SPLITS}
        return Computed(splits=found, costs=costs, facts=facts)

    def _outputs_of(self, network: torch.nn.Module, transform: Any, images: Images) -> SplitOutputs:
        logits = np.empty((len(images), self._dataset.n_classes), np.float32)
        for rows, batch in batches(images, transform, self._batch_size, self._device):
            logits[rows.start : rows.stop] = network(batch).float().cpu().numpy()
        return from_logits(logits)
