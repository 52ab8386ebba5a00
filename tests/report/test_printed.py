import numpy as np
import pytest
from PIL import Image

from nas.report.comparison import compare_runs
from nas.report.printed import COLOURS, look, write_figures
from tests.report.made import RANDOM, SETTINGS, made_run


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [2, 3])
def test_figures_for_print(tmp_path, objectives):
    kinds = {"m": SETTINGS, "r": RANDOM}
    runs = [
        made_run(tmp_path / f"{name}{i}", seed=i, settings=settings, objectives=objectives)
        for name, settings in kinds.items()
        for i in range(2)
    ]
    comparison = compare_runs(runs, None, None)[0]
    out = tmp_path / "figures"
    out.mkdir()
    said = write_figures(out, comparison, [], "_1")
    names = ("attainment", "front", "genes", "hypervolume", "surrogate", "times")
    assert sorted(said) == [f"{name}_1.pdf, .png" for name in names]
    for name in names:
        pdf = (out / f"{name}_1.pdf").read_bytes()
        assert pdf.startswith(b"%PDF-") and b"/FontFile2" in pdf and b"/Type3" not in pdf  # embedded TrueType
        with Image.open(out / f"{name}_1.png") as image:
            assert image.info["dpi"][0] == pytest.approx(300, abs=1) and image.size[0] > 900
            if name == "hypervolume":
                pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
                for colour in COLOURS[:2]:
                    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
                    assert np.sum(np.all(pixels == wanted, axis=1)) > 200


def test_many_groups_look_different():
    assert len({look(group)[:2] for group in range(32)}) == 32
