"""Classes that settings name and that cannot be loaded: one line that says why."""

import pytest

from nas.cli.check import check_part
from nas.errors import UserError


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("acme.Data", "module 'acme' is not found; add its folder to PYTHONPATH"),
        ("nas.acme.Data", "module 'nas.acme' is not found"),
        ("nas.dataset.digits.Digit", "module 'nas.dataset.digits' has no Digit; did you mean 'Digits'?"),
        ("half_there.Data", "ModuleNotFoundError: No module named 'acme'"),
        ("broken_there.Data", "ZeroDivisionError: division by zero"),
        ("Data", "module 'Data' is not found; add its folder to PYTHONPATH"),
    ],
)
def test_a_class_that_cannot_be_loaded(target, reason, tmp_path, monkeypatch, capfd):
    (tmp_path / "half_there.py").write_text("import acme\n")
    (tmp_path / "broken_there.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as error:
        check_part("dataset", {"_target_": target})
    assert str(error.value) == f"dataset._target_={target} cannot be loaded: {reason}"
    assert capfd.readouterr() == ("", "")
