import numpy as np

from nas.report.data.comparison import compare_runs
from nas.report.papers.published import published_for, published_methods
from tests.report.made import SETTINGS, made_run


def on(data):
    return SETTINGS | {"dataset": {"_target_": f"nas.dataset.{data}.X", "name": data}}


def test_every_method_has_a_source_and_plausible_numbers():
    methods = published_methods()
    assert {method.data for method in methods} == {"imagenet", "cifar10", "cifar100"}
    for method in methods:
        assert method.source and len(method.names) == len(method.values) == len(set(method.names))
        assert np.all((method.values[:, 0] > 1) & (method.values[:, 0] < 30)) and np.all(method.values[:, 1] > 100)
        assert np.all(np.diff(method.values[:, 1]) > 0) and np.all(np.diff(method.values[:, 0]) < 0)
    attentive = next(method for method in methods if method.method == "AttentiveNAS")
    assert attentive.names[-1] == "A6" and np.allclose(attentive.values[-1], [100 - 80.7, 709])


def test_networks_go_with_their_images_and_multiply_adds(tmp_path):
    for data, expected in (("imagenet", 5), ("imagenetv2", 5), ("cifar100", 1), ("digits", 0)):
        comparison = compare_runs([made_run(tmp_path / data, settings=on(data))], None, None)[0]
        assert len(published_for(comparison, published_methods())) == expected
