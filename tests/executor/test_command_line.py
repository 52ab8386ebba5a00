"""Wrong settings of executors end in one line before any work starts."""

import pytest
import torch

LATENCY = ("sec_obj=latency", "training=none")
PREDICTOR = ("evaluator=predictor", "supernet=ofa_w10", "supernet.checkpoint=random", "supernet.resolutions=[160]")
WRONG = {
    "no workers": (
        ["executor=process", "executor.cpu_workers=0"],
        "executor.cpu_workers=0 is wrong: it should be greater than 0",
    ),
    "no workers on a GPU": (["executor=process", "executor.workers_per_gpu=0"], "executor.workers_per_gpu=0 is wrong"),
    "no time": (["executor=process", "executor.timeout=0"], "executor.timeout=0 is wrong: it should be greater than 0"),
    "a GPU on the CPU": (
        ["executor=process", "executor.gpus=[0]", "device=cpu"],
        "executor.gpus needs device=cuda; this run computes on the CPU",
    ),
    "a predictor": (
        ["executor=process", *PREDICTOR],
        "executor=process would do nothing: evaluator=predictor needs no other process; use executor=serial",
    ),
    "disturbed measurements": (
        ["executor=process", "executor.cpu_workers=2", "device=cpu", *LATENCY],
        "sec_obj=latency measures networks, which other workers on the same device disturb",
    ),
    "no SLURM": (
        ["executor=submitit", "device=cpu"],
        "executor=submitit needs SLURM: there is no sbatch on this machine; use executor=process",
    ),
    "another cluster": (["executor=submitit", "executor.cluster=cloud"], "executor.cluster='cloud' is wrong"),
    "no architecture": (["executor=submitit", "executor.chunk=0"], "executor.chunk=0 is wrong"),
    "misspelt": (["executor=submitit", "executor.partitio=x"], "did you mean 'executor.partition'?"),
}


def predictor(folder):
    """Write the file of a predictor with random weights."""
    sizes = [(400, 128), (400, 400), (400, 400), (1, 400)]
    tensors = {f"{2 * i}.weight": torch.zeros(outputs, inputs) for i, (outputs, inputs) in enumerate(sizes)}
    tensors |= {f"{2 * i}.bias": torch.zeros(outputs) for i, (outputs, _) in enumerate(sizes)}
    torch.save(tensors, folder / "predictor.pth")
    return folder / "predictor.pth"


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_ends_in_one_line(case, launch, tmp_path, monkeypatch):
    arguments, message = WRONG[case]
    if case == "no SLURM":
        monkeypatch.setenv("PATH", str(tmp_path))
    if case == "a predictor":
        arguments = [*arguments, f"evaluator.checkpoint={predictor(tmp_path)}"]
    code, out, err = launch(*arguments, "tracker=csv", f"paths.cache={tmp_path / 'cache'}", "paths.run=run")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
