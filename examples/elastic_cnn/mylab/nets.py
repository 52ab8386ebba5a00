"""A small elastic CNN for any image folder: each stage has 1 to 3 layers and one of several widths."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nas
from nas.space.table import term
from nas.types import PositiveInt

N_STAGES = 3
KERNEL = 3


class ElasticConv(nn.Module):
    """Convolution, batch norm and ReLU whose first channels are the layer of a smaller network."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, KERNEL, stride, KERNEL // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, width: int) -> Tensor:
        norm, weight = self.norm, self.conv.weight[:width, : x.shape[1]]
        x = F.conv2d(x, weight, None, self.conv.stride, self.conv.padding)
        mean, var = norm.running_mean[:width], norm.running_var[:width]  # views: training updates the whole
        return F.relu(F.batch_norm(x, mean, var, norm.weight[:width], norm.bias[:width], self.training, norm.momentum))

    def extract(self, inputs: int, width: int) -> nn.Sequential:
        """Return an ordinary layer with a copy of the weights."""
        conv = nn.Conv2d(inputs, width, KERNEL, self.conv.stride, self.conv.padding, bias=False)
        norm = nn.BatchNorm2d(width)
        with torch.no_grad():
            conv.weight.copy_(self.conv.weight[:width, :inputs])
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(norm, name).copy_(getattr(self.norm, name)[:width])
        return nn.Sequential(conv, norm, nn.ReLU())


class ElasticCNN(nas.Supernet):
    """Supernet of plain CNNs; the constructor's arguments are the settings of mylab/conf/supernet/elastic_cnn.yaml."""

    trained = False  # a search trains it first

    def __init__(
        self,
        *,
        n_classes: PositiveInt,  # given by the experiment: the data set's
        resolutions: tuple[PositiveInt, ...],
        widths: tuple[PositiveInt, ...] = (8, 16, 24),
        depths: tuple[PositiveInt, ...] = (1, 2, 3),
    ) -> None:
        if len(resolutions) == 0:
            raise nas.UserError("supernet.resolutions is empty: give one side or more, for example [32]")
        self.n_classes, self.resolutions, self.widths, self.depths = n_classes, resolutions, widths, depths
        stages = {f"d{s}": depths for s in range(N_STAGES)} | {f"w{s}": widths for s in range(N_STAGES)}
        self.space = nas.ChoiceSpace({**stages, "r": resolutions})
        with torch.random.fork_rng(devices=[]):  # the first weights follow from the settings, and nothing else changes
            torch.manual_seed(0)
            self.module = self._built()
        settings = [n_classes, resolutions, widths, depths]
        self.fingerprint = hashlib.sha256(json.dumps(["elastic_cnn", 1, settings]).encode()).hexdigest()

    def _built(self) -> nn.ModuleDict:
        most = max(self.widths)
        stages = nn.ModuleList()
        for s in range(N_STAGES):
            first = ElasticConv(3 if s == 0 else most, most, 2)
            stages.append(nn.ModuleList([first, *(ElasticConv(most, most, 1) for _ in range(max(self.depths) - 1))]))
        return nn.ModuleDict({"stages": stages, "classifier": nn.Linear(most, self.n_classes)})

    def forward(self, images: Tensor, architecture: nas.Architecture) -> Tensor:
        config, x = architecture.config, images
        for s, stage in enumerate(self.module["stages"]):
            for layer in stage[: config[f"d{s}"]]:
                x = layer(x, config[f"w{s}"])
        classifier = self.module["classifier"]
        return F.linear(x.mean((2, 3)), classifier.weight[:, : x.shape[1]], classifier.bias)

    def extract(self, architecture: nas.Architecture) -> nn.Module:
        config, inputs = architecture.config, 3
        layers: list[nn.Module] = []
        for s, stage in enumerate(self.module["stages"]):
            for layer in stage[: config[f"d{s}"]]:
                layers.append(layer.extract(inputs, config[f"w{s}"]))
                inputs = config[f"w{s}"]
        classifier = nn.Linear(inputs, self.n_classes)
        with torch.no_grad():
            classifier.weight.copy_(self.module["classifier"].weight[:, :inputs])
            classifier.bias.copy_(self.module["classifier"].bias)
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier).eval()

    def _cost_tables(self) -> Mapping[str, nas.CostTable]:
        """Return exact costs of whole populations: one term a stage, indexed by the genes that its cost depends on."""
        gene = {name: place for place, name in enumerate(self.space.names)}
        terms: dict[str, list] = {"macs": [], "params": []}
        for s in range(N_STAGES):
            before = (gene[f"w{s - 1}"], self.widths) if s else (None, (3,))
            axes = [before, (gene[f"w{s}"], self.widths), (gene[f"d{s}"], self.depths), (gene["r"], self.resolutions)]
            terms["macs"].append(term(axes, lambda choice, s=s: stage_macs(s, *choice)))
            terms["params"].append(term(axes[:3], lambda choice: stage_params(*choice)))
        last = (gene[f"w{N_STAGES - 1}"], self.widths)
        terms["macs"].append(term([last], lambda choice: choice[0] * self.n_classes))
        terms["params"].append(term([last], lambda choice: (choice[0] + 1) * self.n_classes))
        return {name: nas.AdditiveTable(len(gene), found) for name, found in terms.items()}


def side_after(stage: int, resolution: int) -> int:
    """Return the side of a stage's output in pixels: each stage halves it, rounded up."""
    for _ in range(stage + 1):
        resolution = (resolution + 1) // 2
    return resolution


def stage_macs(stage: int, inputs: int, width: int, depth: int, resolution: int) -> int:
    """Return the multiply-adds of a stage."""
    return side_after(stage, resolution) ** 2 * KERNEL**2 * width * (inputs + (depth - 1) * width)


def stage_params(inputs: int, width: int, depth: int) -> int:
    """Return the parameters of a stage: convolutions, and batch norm's two a channel."""
    return KERNEL**2 * width * (inputs + (depth - 1) * width) + 2 * width * depth
