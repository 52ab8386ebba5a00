import json
import re
from html.parser import HTMLParser

import pytest

from nas.report.data.comparison import compare_runs
from nas.report.data.spaces import Spaces
from nas.report.page.page import breakable, inert, render_page
from nas.report.page.pictures import chosen_architectures
from nas.report.papers.exhibit_figures import Drawn
from nas.report.papers.papers import Papers, papers_of
from nas.report.papers.published import published_methods
from nas.report.statistics.genes import row_texts
from tests.report.made import RANDOM, SETTINGS, made_run
from tests.report.papers.test_published import on

EVIL = "<script>alert(1)</script>&\"'</td>"


class Elements(HTMLParser):
    """Which elements a page has, the attributes that events would run, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self.names and self.names[-1] == "script":
            self.scripts.append(data)


def render(runs, cache, **changes):
    comparisons = compare_runs(runs, None, None)
    pictures = [chosen_architectures(comparison, Spaces(cache)) for comparison in comparisons]
    given = {"papers": Papers((), (), ()), "exhibits": [()] * len(comparisons)}
    given["texts"] = [[row_texts(found, None) for found in comparison.genes] for comparison in comparisons]
    given |= {"warnings": ["watch out"], "files": {"data/runs.csv": "one row a run"}, "made": "now"} | changes
    return render_page(runs, comparisons, pictures, **given)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_everything_asked_for_is_on_the_page(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i, failing=True) for i in range(2)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM) for i in range(2)]
    runs += [made_run(tmp_path / "dead", seed=7, state="failed"), made_run(tmp_path / "slow", seed=8, state="running")]
    page = render(runs, tmp_path).replace("<wbr>", "")
    for text in (
        "Report of 6 runs", "4 finished, 1 unfinished, 1 failed", "watch out", "Hypervolume over evaluations",
        "Attainment surfaces", "Where genes converge", "Where the time went", "Settings that differ",
        "MemoryError: no room", "data/runs.csv",
        "1.01 times the worst of their initial designs", "algorithm._target_", "nas.algorithm.random.RandomSearch",
        "RunError: &lt;b&gt;out&lt;/b&gt; of luck", "there are 2 in a group",
    ):  # fmt: skip
        assert text in page, text
    data = data_of(page)
    assert [run["seed"] for run in data[0]["runs"]] == [0, 1, 7, 8, 0, 1]
    assert data[0]["groups"] == ["MSuNAS", "random search"]
    run = data[0]["runs"][0]
    assert run["died"].count(-1) == len(runs[0].record.front()) == len(run["configs"])


def test_long_words_of_tables_may_be_broken_and_stay_harmless():
    assert breakable("n_iter=8 is short") == "n_iter=8 is short"
    long = breakable("surrogate.kernel=a_name_that_is_long <b>")
    assert str(long) == ("surrogate.<wbr>kernel=<wbr>a_<wbr>name_<wbr>that_<wbr>is_<wbr>long &lt;b&gt;")
    evil = "<script>alert(1)</script>/and_more"
    assert "<script" not in breakable(evil) and breakable(evil).striptags() == evil
    assert breakable(3) == "3"


def test_with_one_run_a_group_a_line_says_what_is_missing(tmp_path):
    runs = [made_run(tmp_path / "m"), made_run(tmp_path / "r", settings=RANDOM)]
    page = render(runs, tmp_path, papers=papers_of(compare_runs(runs, None, None), "papers", published=True))
    said = (
        "No tests: at least 6 seeds that two groups have in common, or 4 other ones in each, are needed for p &lt; "
        "0.05; there is 1 in a group."
    )
    assert page.count(said) == 1 and "there is 1: MSuNAS &gt; random search" in page
    assert "1 pairs" not in page and "p, Holm" not in page and "Report of 2 runs" in page
    alone = render(runs[:1], tmp_path)
    assert "Report of 1 run<" in alone and "1 group of runs" in alone and "There is one group" in alone


def test_groups_of_other_experiments_are_compared_when_asked(tmp_path):
    longer = SETTINGS | {"algorithm": SETTINGS["algorithm"] | {"n_iter": 9}}
    runs = [made_run(tmp_path / f"m{i}", seed=i) for i in range(6)]
    runs += [made_run(tmp_path / f"l{i}", seed=i, settings=longer) for i in range(6)]
    page = render(runs, tmp_path)
    assert "Alone in their experiment: MSuNAS, n_iter=4; MSuNAS, n_iter=9. together=true compares" in page
    together = render(runs, tmp_path, papers=Papers((), (), (), together=True))
    assert "Alone in" not in together and "p, Holm (of 1 test)" in together


def test_a_search_that_archives_its_last_front_alone_has_no_curve(tmp_path):
    page = render([made_run(tmp_path / "c", steps=1, config={"networks": ["a"], "thresholds": []})], tmp_path)
    assert 'data-chart="hypervolume-0"' not in page and "archive their last fronts alone" in page
    assert "grey those of initial designs" not in page and not any(data_of(page)[0]["clouds"][0]["initial"])


def test_the_papers_have_their_place(tmp_path):
    runs = [made_run(tmp_path / f"m{i}", seed=i) for i in range(6)]
    runs += [made_run(tmp_path / f"r{i}", seed=i, settings=RANDOM) for i in range(6)]
    papers = papers_of(compare_runs(runs, None, None), "papers", published=True)
    page = render(runs, tmp_path, papers=papers, exhibits=[[Drawn("A figure", "data:image/svg+xml;base64,AA==")]])
    for text in ("The papers&#39; hypotheses" if "papers&#39; h" in page else "The papers' hypotheses",
                 "MSuNAS &gt; random search", "NSGANetV2, digits (FLOPs)", "p, Holm (of 1 test)", "6 pairs",
                 'alt="A figure"', "Highest accuracies",
                 "As in the papers"):  # fmt: skip
        assert text in page, text
    assert data_of(page)[0]["published"] == []
    none = render([made_run(tmp_path / "o", settings=SETTINGS | {"algorithm": {"_target_": "x.y.Z"}})], tmp_path)
    assert "hypotheses" not in none and "As in the papers" not in none


def test_published_networks_are_among_the_values(tmp_path):
    run = made_run(tmp_path / "m", settings=on("cifar10"))
    page = render([run], tmp_path, papers=Papers((), (), published_methods()))
    found = data_of(page)[0]["published"]
    assert [(one["method"], one["values"], one["other"]) for one in found] == [("NAT", [[1.6], [468.0]], 1)]
    assert "published networks" in page


def test_texts_of_run_folders_can_do_nothing(tmp_path):
    evil = SETTINGS | {"note": EVIL, "dataset": {"_target_": f"x.{EVIL}.y"}}
    run = made_run(tmp_path / "a", settings=evil, failing=True, state="failed", config={"ks": EVIL, "r": 8})
    (run.folder / "failed" / "it_9_net_9.traceback").write_text(EVIL)
    (run.folder / "status.json").write_text(json.dumps({"state": "failed", "error": EVIL}))
    other = made_run(tmp_path / "b", settings=evil | {"note": "other"})
    from nas.report.data.runs import read_run

    page = render([read_run(f"x{EVIL}", run.folder), other], tmp_path, warnings=[EVIL], files={EVIL: EVIL}, made=EVIL)
    parsed = Elements()
    parsed.feed(page)
    assert parsed.names.count("script") == 2 and parsed.handlers == []
    assert "alert(1)" in page and "<script>alert" not in page
    assert EVIL in data_of(page)[0]["runs"][0]["name"]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_nothing_is_asked_of_the_network(tmp_path):
    page = render([made_run(tmp_path / "a")], tmp_path)
    parsed = Elements()
    parsed.feed(page)
    assert all(address.startswith(("#", "data:")) for address in parsed.addresses)
    assert not re.search(r"url\(|@import|https?://", page)


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028"])
def test_values_for_the_charts_are_inert(text):
    found = inert({"a": text})
    assert not set("<>&\u2028") & set(found)
    assert json.loads(found) == {"a": text}


def test_cascades_and_three_objectives(tmp_path):
    cascade = {"networks": ["a/net0", "b/net1"], "thresholds": [0.5]}
    runs = [made_run(tmp_path / "c", config=cascade, steps=1), made_run(tmp_path / "t", objectives=3, again=True)]
    page = render(runs, tmp_path)
    assert "a/net0" in page and "Some architectures were evaluated again" in page
    data = data_of(page)
    assert [len(found["attainment"]) for found in data] == [1, 2]
    assert data[0]["quality"] == [None]
