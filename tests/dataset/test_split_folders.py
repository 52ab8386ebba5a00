"""Folders of images as other tools and collections lay them out."""

import logging
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from nas.dataset.imagefolder import ImageFolder
from nas.errors import UserError
from tests.published import save, settings

Counts = dict[str, dict[str, int]]


def lay_out(root: Path, tree: str) -> Path:
    """Write a tree of folders: one path a line, ``a/b x3`` for three images, others are files and folders as named."""
    for line in filter(None, map(str.strip, tree.splitlines())):
        path, _, number = line.rpartition(" x")
        if path:
            for i in range(int(number)):
                save(root / path / f"{i}.png", i, i)
        else:
            (root / line).parent.mkdir(parents=True, exist_ok=True)
            (root / line).write_text("")
    return root


def counts(root: Path, **changed: object) -> Counts:
    """Return how many images of each class are in each split."""
    dataset = ImageFolder(**settings("imagefolder", path=root, size=8, cache=root.parent / "cache", **changed))
    found = {}
    for name in ("train", "validation", "test"):
        labels = Counter(dataset.split(name).labels.tolist())
        found[name] = {dataset.class_names[label]: labels[label] for label in sorted(labels)}
    return found


def total(found: Counts) -> dict[str, int]:
    return {name: sum(of.values()) for name, of in found.items()}


@pytest.mark.parametrize(
    ("tree", "classes", "sizes", "unused"),
    [
        pytest.param(
            "Training/glioma_tumor x10\nTraining/no_tumor x10\nTesting/glioma_tumor x4\nTesting/no_tumor x4",
            ["glioma_tumor", "no_tumor"],
            (16, 4, 8),
            [],
            id="brain tumours of Kaggle",
        ),
        pytest.param(
            "train/n01440764 x10\ntrain/n02102040 x10\nval/n01440764 x5\nval/n02102040 x5\nnoisy_imagenette.csv",
            ["n01440764", "n02102040"],
            (16, 4, 10),
            [],
            id="Imagenette of fastai",
        ),
        pytest.param(
            "train/3 x10\ntrain/7 x10\nvalid/3 x5\nvalid/7 x5\nlabels.csv\nmodels/tmp.pth",
            ["3", "7"],
            (16, 4, 10),
            ["models"],
            id="MNIST sample of fastai with its models",
        ),
        pytest.param(
            "train/a b x9\ntrain/c-d x9\nvalid/a b x3\nvalid/c-d x3\ntest/a b x2\ntest/c-d x2\nREADME.roboflow.txt",
            ["a b", "c-d"],
            (18, 6, 4),
            [],
            id="folders of Roboflow",
        ),
        pytest.param(
            "train/cat x10\ntrain/dog x10\ntest x4\nsample_submission.csv",
            ["cat", "dog"],
            (12, 4, 4),
            ["test"],
            id="test images without classes of Kaggle",
        ),
        pytest.param(
            "training_set/training_set/cats x10\ntraining_set/training_set/dogs x10\n"
            "test_set/test_set/cats x4\ntest_set/test_set/dogs x4",
            ["cats", "dogs"],
            (16, 4, 8),
            [],
            id="cats and dogs of Kaggle, each folder in one of its name",
        ),
        pytest.param(
            "seg_train/seg_train/sea x10\nseg_train/seg_train/forest x10\n"
            "seg_test/seg_test/sea x4\nseg_test/seg_test/forest x4\nseg_pred/seg_pred x3",
            ["forest", "sea"],
            (16, 4, 8),
            ["seg_pred"],
            id="landscapes of Kaggle",
        ),
        pytest.param(
            "cat x10\ndog x10\n.DS_Store\ncat/.DS_Store\ncat/._0.png\ndog/Thumbs.db\n__MACOSX/cat/._0.png\n"
            "cat/@eaDir/0.png x2\n@eaDir/cat x2",
            ["cat", "dog"],
            (12, 4, 4),
            [],
            id="litter of macOS, Windows and a network drive",
        ),
        pytest.param(
            "a, b x5\n[c] x5\nd=e x5\nÉté x5\n数字 x5\nit's {x} $y x5",
            ["[c]", "a, b", "d=e", "it's {x} $y", "Été", "数字"],
            (18, 6, 6),
            [],
            id="names with signs",
        ),
        pytest.param("bus x5\ntrain x5", ["bus", "train"], (6, 2, 2), [], id="a class named train"),
        pytest.param(
            "invalid/monday x5\nvalid/monday x5\nvalid/tuesday x5",
            ["invalid", "valid"],
            (9, 3, 3),
            [],
            id="valid and not",
        ),
        pytest.param("train/a x5\ntrain/b x5\nold/a x5", ["a", "b"], (6, 2, 2), ["old"], id="another folder"),
        pytest.param(
            "train/a x5\ntrain/b x5\nTrain/a x5\nval/a x2\nval/b x2\nvalid/a x2",
            ["a", "b"],
            (8, 2, 4),
            ["Train", "valid"],
            id="two folders of a split",
        ),
    ],
)
def test_layouts(
    tree: str,
    classes: list[str],
    sizes: tuple[int, int, int],
    unused: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    root = lay_out(tmp_path / "data", tree)
    found = counts(root)
    assert (list(found["train"]), tuple(total(found).values())) == (classes, sizes)
    assert [f"'{root / name}' is not used: " in text for name, text in zip(unused, caplog.messages, strict=True)] == [
        True for _ in unused
    ]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            "train x3\ntrain/_classes.csv\nvalid x2\nvalid/_classes.csv",
            "dataset.path: '{root}/train' must hold at least two class folders, but has none; sort its 3 images into "
            "one folder a class; labels in files such as '_classes.csv' are not read",
        ),
        (
            "pets/train/a x3\npets/test/a x3\nnotes.txt",
            "dataset.path: '{root}' must hold at least two class folders, but has only one, 'pets'; '{root}/pets' "
            "holds 2 folders: name that one if they are the classes or splits",
        ),
        (
            "cat x3\ndog x3\nTest x2",
            "dataset.path: '{root}/Test' has no class folders, but is beside class folders such as 'cat': sort its "
            "images into class folders, or move it elsewhere",
        ),
        (
            "Training/a x3\nTraining/b x3\nTesting/a x3\nTesting/c x3",
            "class 'c' is in '{root}/Testing', but not in '{root}/Training'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tree: str, message: str, tmp_path: Path) -> None:
    root = lay_out(tmp_path / "data", tree)
    with pytest.raises(UserError) as caught:
        counts(root)
    assert str(caught.value) == message.format(root=root)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "data", "cat x3")
    try:
        (tmp_path / "data" / "caf\udce9").mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(UserError, match=r"caf\\udce9' is no UTF-8 text on one line: rename it"):
        counts(root)


def test_a_letter_may_be_written_in_two_ways(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
    found = counts(lay_out(tmp_path / "data", f"train/{one} x5\ntrain/b x5\ntest/{two} x2\ntest/b x3"))
    assert found["test"] == {"b": 3, one: 2}


def test_links_to_folders_are_followed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = lay_out(tmp_path / "elsewhere", "one x20\ntwo x4\ntwo/deep x2")
    root = lay_out(tmp_path / "data", "cat x20\ndog x5\ncat/own x1")
    (root / "cat" / "linked").symlink_to(elsewhere / "one")
    (root / "cat" / "again").symlink_to(elsewhere / "one")
    (root / "cat" / "alias").symlink_to(root / "cat" / "own")
    (root / "cat" / "self").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root)
    (elsewhere / "two" / "back").symlink_to(elsewhere / "two")
    (root / "dog" / "linked.png").symlink_to(elsewhere / "one" / "7.png")
    (root / "fox").symlink_to(elsewhere / "two")
    (root / "owl").symlink_to(tmp_path / "nowhere")
    (root / "dog" / "more").symlink_to("nowhere")
    found = counts(root)
    assert {name: sum(of[name] for of in found.values()) for name in found["train"]} == {"cat": 41, "dog": 6, "fox": 6}
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert texts == [
        f"'{root / 'owl'}' is a link to '{tmp_path / 'nowhere'}', which does not exist: it is left out",
        f"the link '{root / 'cat' / 'up'}' leads to a folder that it is in: it is not followed",
        f"'{root / 'dog' / 'more'}' is a link to 'nowhere', which does not exist: it is left out",
    ]
    (root / "whole").symlink_to(root)
    with pytest.raises(UserError, match="whole' holds no images"):
        counts(root)
