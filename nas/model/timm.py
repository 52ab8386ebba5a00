"""Models of the package timm."""

from collections.abc import Mapping
from typing import Any, final

import timm

from nas.dataset.base import Dataset
from nas.errors import UserError, nearest
from nas.files import expanded
from nas.model.base import TIMM, Model, ModelSource
from nas.model.given import Given, data_of
from nas.pool.timm_models import HUB, RANDOM, counted, make_model, prepared, weights_file
from nas.seeding import short_seed
from nas.supernet.checkpoint import weights_digest
from nas.types import Progress


@final
class TimmSource(ModelSource):
    """A model of timm."""

    def __init__(
        self,
        model: str,
        *,
        weights: str,
        seed: int,
        resolution: int | None,
        dataset: Dataset | None,
        settings: Mapping[str, Any],
        name: str,
        device: str,
    ) -> None:
        """Find the model and its weights' file.

        Args:
            model: timm's name of it, which may end in the tag of its weights.
            weights: ``"hub"``, ``"random"``, or the path of a file, or of a folder with a file for each model.
            seed: Seed of random weights.
            resolution: Side of the square input in pixels; ``None`` for its own.
            dataset: Data set of the model; ``None`` for the classes that its weights were published for.
            settings: Settings of the data set and the evaluator, by group.
            name: Name of the model here.
            device: Torch device of the model.

        Raises:
            UserError: If timm does not know the model, its weights are not there, or they have other classes.
        """
        if not timm.is_model(model):
            raise UserError(f"timm {timm.__version__} has no model '{model}'{nearest(model, timm.list_models())}")
        published = timm.get_pretrained_cfg(model)
        n_published = 1000 if published is None else published.num_classes
        self.n_classes = n_published if dataset is None else dataset.n_classes
        if weights == RANDOM and dataset is not None:
            self.class_names = dataset.class_names  # random weights have no classes of their own
        if weights == HUB and self.n_classes != n_published:
            raise UserError(
                f"timm's weights of {model} have {n_published:,} classes, the data set has {self.n_classes:,}: give a "
                f"file of weights, or weights={RANDOM}"
            )
        if weights not in (HUB, RANDOM):
            weights_file(model, weights)
        self.name = name
        self._model, self._weights, self._seed, self._resolution = model, weights, seed, resolution
        self._dataset, self._settings, self._device = dataset, settings, device

    def dataset(self) -> Dataset | None:
        """Return the images that it is for."""
        return self._dataset

    def load(self, progress: Progress) -> Model:
        """Return the model; weights of the hub are downloaded if they are not in timm's cache."""
        try:
            network: Any = make_model(
                self._model, self._weights, short_seed(self._seed, "random weights"), self.n_classes, self._resolution
            )
        except (OSError, RuntimeError) as error:
            text = " ".join(str(error).split())
            raise UserError(f"the weights of timm's {self._model} cannot be had: {text[:200]}") from error
        ready = prepared(network, self._resolution).to(self._device).eval()
        crop, side = ready.crop, ready.resolution
        described = {
            "kind": TIMM,
            "name": self.name,
            "timm": self._model,
            "version": timm.__version__,
            "n_classes": self.n_classes,
            "class_names": None if self._dataset is None else list(self._dataset.class_names),
            "resolution": side,
            "mean": ready.mean.flatten().tolist(),
            "std": ready.std.flatten().tolist(),
            "crop": {"mode": crop.mode, "side": crop.side} if not isinstance(crop, float) else crop,
            "weights": weights_digest(network.state_dict()),
            "costs": counted(network, side),
            "objectives": {},
            "units": {},
            "metrics": {},
            "dataset": self._settings.get("dataset") if self._dataset is not None else None,
            "data": None if self._dataset is None else data_of(self._dataset),
            "evaluator": self._settings.get("evaluator"),
            "source": {"timm": self._model, "weights": str(self._weights)},
        }
        return Model(self.name, network, ready, described)


def named(model: str, weights: str | None, resolution: int | None, given: Given) -> TimmSource:
    """Return the source of a timm model that a command line names.

    Args:
        model: timm's name of it.
        weights: A path, ``"hub"`` or ``"random"``; ``None`` for the published ones.
        resolution: Side of the square input in pixels; ``None`` for its own.
        given: Other settings of the command line.

    Raises:
        UserError: If the weights are the path of nothing.
    """
    if weights not in (None, HUB, RANDOM) and not expanded(str(weights), "weights").exists():
        raise UserError(f"weights={weights} does not exist; give a file, {HUB} (nothing means that too) or {RANDOM}")
    return TimmSource(
        model,
        weights=HUB if weights is None else weights,
        seed=0,
        resolution=resolution,
        dataset=given.dataset,
        settings=given.settings,
        name=model,
        device=given.device,
    )
