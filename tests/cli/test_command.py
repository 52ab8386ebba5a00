import pytest

from nas.cli.command import spelled_out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("supernet=[a,b]", ["supernet=several", "supernet/members=[a,b]"]),
        ("supernet=[a, b]", ["supernet=several", "supernet/members=[a, b]"]),
        ("supernet=[a,b],[c,d]", ["supernet=several", "supernet/members=[a,b],[c,d]"]),
        ("supernet=tiny", ["supernet=tiny"]),
        ("supernet=a,b", ["supernet=a,b"]),
        ("supernet=a,[b,c]", ["supernet=a,[b,c]"]),
        ("supernet.widths=[0.5]", ["supernet.widths=[0.5]"]),
        ("sec_obj=[flops,params]", ["sec_obj=[flops,params]"]),
        ("prefer=top1#80+flops#150", ["prefer.top1=80", "prefer.flops=150"]),
        ("prefer='top1#80.5'", ["prefer.top1=80.5"]),
        ("prefer=None", []),
        ("prefer=top1#high", ["prefer=top1#high"]),
        ("prefer.top1=80", ["prefer.top1=80"]),
        ("save=a=b", ["path=a=b"]),
        ("save", ["save"]),
    ],
)
def test_what_words_stand_for(typed: str, meant: list[str]) -> None:
    assert spelled_out(typed) == meant


def test_lists_may_be_swept(launch):
    code, _, err = launch("algorithm=encas_joint", "supernet=[tiny,tiny_wide],[tiny_wide,tiny_plain]")
    assert code == 2
    assert "names several values; write python launch.py -m" in err
    code, _, err = launch("-m", "algorithm=encas_joint", "supernet=[tiny,tiny_wide],[tiny_wide,tini]")
    assert code == 2
    assert "unknown choice for supernet/members: 'tini'" in err
