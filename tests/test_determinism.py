"""Same seed, same archive, with one and with two threads: for every surrogate, on a predictor instead of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from threadpoolctl import threadpool_limits

from nas.algorithm.msunas import MSuNAS
from nas.cli.command import CommandLine
from nas.cli.compose import compose_jobs
from nas.errors import UserError
from nas.evaluator.predictor import PredictorEvaluator
from nas.executor.serial import Serial
from nas.experiment import Experiment
from nas.loop import Search
from nas.objective.base import TOP1_ERROR
from nas.objective.cost import TableCost
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable
from nas.supernet.none import NoSupernet
from nas.targets import NO_OTHERS
from nas.tracker.together import Together
from nas.training.none import NoTraining

CONF = Path(__file__).parent.parent / "conf"
SURROGATES = sorted(
    {path.stem for path in (CONF / "surrogate").glob("*.yaml")} - {"cascade"}
)  # that one needs cascades
FASTER = {
    "cart": ["surrogate.trees=60"],
    "mlp": ["surrogate.epochs=2", "surrogate.hidden=200"],
    "rbf_ensemble": ["surrogate.members=40"],
    "adaptive": ["surrogate.cart.trees=20", "surrogate.folds=3"],
}
DEFAULT = ("optimizer.population=20", "optimizer.generations=5")
PAPER = ("optimizer=nsga2", "selector=subset", *DEFAULT)
SPACE = OfaSpace(
    n_stages=5,
    depths=(2, 3, 4),
    kernel_sizes=(3, 5, 7),
    expand_ratios=(3, 4, 6),
    resolutions=(160, 176, 192, 208, 224),
    widths=(1.2,),
)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    """The file of a predictor with random weights."""
    path = tmp_path_factory.mktemp("predictor") / "predictor.pth"
    generator = torch.Generator().manual_seed(0)
    sizes = [(400, 128), (400, 400), (400, 400), (1, 400)]
    tensors = {}
    for i, (outputs, inputs) in enumerate(sizes):
        tensors[f"{2 * i}.weight"] = torch.randn(outputs, inputs, generator=generator) / inputs**0.5
        tensors[f"{2 * i}.bias"] = torch.randn(outputs, generator=generator)
    torch.save(tensors, path)
    return path


GROUPS = ("surrogate", "optimizer", "selector")


@pytest.fixture
def threads():
    """Set the number of threads as ``threads=`` does; afterwards there is one again."""
    limits = []

    def use(number):
        torch.set_num_threads(number)
        limits.append(threadpool_limits(number))

    yield use
    torch.set_num_threads(1)
    for limit in reversed(limits):
        limit.restore_original_limits()


@pytest.mark.parametrize(("name", "search"), [*((name, DEFAULT) for name in SURROGATES), ("additive_gp", PAPER)])
def test_same_seed_same_archive_with_one_and_two_threads(name, search, predictor, threads, tmp_path, monkeypatch):
    monkeypatch.setattr(Results, "draw", lambda *_: None)
    words = [f"surrogate={name}", *search, *FASTER.get(name, ())]
    (settings,) = compose_jobs(CommandLine.parsed(words)).configs
    found = []
    for number in (1, 2):
        threads(number)
        folder = tmp_path / str(number)
        try:
            places = {"device": "cpu", "cache": folder, "allowed": NO_OTHERS}
            plain = {group: OmegaConf.to_container(settings[group], resolve=True) for group in GROUPS}
            experiment = Experiment.of_folder(plain, folder, **places, parts={"space": SPACE})
            surrogate = experiment.surrogate
        except UserError as error:
            pytest.skip(str(error))
        _search(folder, experiment, surrogate, predictor).run(retry_failed=False)
        found.append((folder / "archive.jsonl").read_bytes())
    assert found[0].count(b"\n") == 1 + 70 + 1 + 4 + 1  # header, design, commit, candidates, commit
    assert found[0] == found[1]


def _search(folder, experiment, surrogate, predictor):
    terms = [((gene,), (np.arange(SPACE.upper[gene] + 1) + 1) * 1000 * (gene + 1)) for gene in range(SPACE.n_genes)]
    tables = dict.fromkeys(("macs", "params"), AdditiveTable(SPACE.n_genes, terms))
    objective = TableCost(cost="flops", tables=tables)
    archive = Archive.open(folder / "archive.jsonl", [TOP1_ERROR, objective.measure], SPACE.names)
    return Search(
        folder=RunFolder(folder),
        space=SPACE,
        objectives=[objective],
        algorithm=MSuNAS(
            space=SPACE,
            objectives=[objective],
            surrogate=surrogate,
            optimizer=experiment.optimizer,
            selector=experiment.selector,
            n_doe=70,
            n_iter=4,
            iterations=1,
        ),
        training=NoTraining(supernet=NoSupernet()),
        evaluator=PredictorEvaluator(space=SPACE, tables=tables, cache=folder, checkpoint=str(predictor)),
        executor=Serial(device="cpu", workers_per_gpu=None),
        tracker=Together([]),
        results=Results(archive, folder, None),
        seed=0,
    )
