import numpy as np
import pytest
import yaml

from nas.report.data.comparison import compare_runs
from nas.report.data.runs import read_run
from nas.report.data.spaces import Spaces
from nas.report.page.pictures import chosen_architectures
from tests.report.made import made_run


def test_most_accurate_balanced_and_cheapest_are_chosen(tmp_path):
    runs = [made_run(tmp_path / str(i), seed=i, steps=6) for i in range(3)]
    comparison = compare_runs(runs, None, None)[0]
    found = {picture.title: picture for picture in chosen_architectures(comparison, Spaces(tmp_path))}
    values = np.vstack([comparison.front(run) for run in runs])
    assert found["most accurate"].objectives[0] == values[:, 0].min()
    assert found["lowest FLOPs"].objectives[1] == values[:, 1].min()
    assert all("could not be built again" in picture.note for picture in found.values())
    low, high = found["most accurate"].objectives, found["lowest FLOPs"].objectives
    if "balanced" in found:
        assert low[0] < found["balanced"].objectives[0] < high[0]


@pytest.mark.slow
def test_networks_of_a_real_run_are_built_again_with_its_number_of_classes(launch, tmp_path):
    code, _, err = launch(
        "tracker=csv", "algorithm=random", "algorithm.n_doe=6", "algorithm.iterations=0", "paths.run=run"
    )
    assert code == 0, err
    run = read_run("run", tmp_path / "run")
    pictures = chosen_architectures(compare_runs([run], None, None)[0], Spaces(tmp_path))
    for picture in pictures:
        assert picture.note == "" and picture.layers[-1].outputs == 10
        macs = sum(layer.macs for layer in picture.layers)
        assert macs / 1e6 == pytest.approx(picture.objectives[1], abs=1e-9)
        kernels = [layer.kernel for layer in picture.layers if layer.expansion]
        assert kernels == picture.config["ks"]
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    settings["supernet"]["feature_width"] = 32
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(settings))
    changed = chosen_architectures(compare_runs([read_run("run", tmp_path / "run")], None, None)[0], Spaces(tmp_path))
    assert "another number of parameters" in changed[0].note and not changed[0].layers
