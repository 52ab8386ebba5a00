import numpy as np
from PIL import Image

from nas.plotting.style import add_legend, printed_style
from nas.report.data.comparison import compare_runs
from nas.report.page import animation
from nas.report.page.animation import LAST, MILLISECONDS, write_animation
from tests.report.made import RANDOM, covers_no_axes, made_run


def test_the_front_moves(tmp_path, monkeypatch):
    runs = [made_run(tmp_path / "m", steps=5, again=True), made_run(tmp_path / "r", settings=RANDOM, steps=5)]
    comparison = compare_runs(runs, None, None)[0]
    drawn = []
    monkeypatch.setattr(animation, "add_legend", lambda figure, axes: (add_legend(figure, axes), drawn.append(figure)))
    write_animation(tmp_path / "front.gif", comparison)
    with printed_style():
        assert covers_no_axes(drawn[0])
    with Image.open(tmp_path / "front.gif") as image:
        assert image.n_frames == len(comparison.grid) > 4
        frames, times = [], []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            times.append(image.info["duration"])
    assert times == [MILLISECONDS] * (len(times) - 1) + [LAST]
    assert np.any(frames[0] != frames[-1]) and len(np.unique(frames[-1].reshape(-1, 3), axis=0)) > 20
