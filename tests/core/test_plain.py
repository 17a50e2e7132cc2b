import pytest

from switchguard.core.plain import plain


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Zoë's phone (2)", "Zoë's phone (2)"),
        ("\x1b[2Jgone", "·[2Jgone"),
        ("\x9b31mred", "·31mred"),
        ("one\r\ntwo\tthree", "one··two·three"),
        ("gpj\u202e.exe", "gpj·.exe"),
        ("", ""),
    ],
)
def test_only_what_can_be_printed_is_left(said: str, told: str) -> None:
    assert plain(said) == told
