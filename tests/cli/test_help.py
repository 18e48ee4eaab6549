"""Help fits a screen, and all of it is told to who asks for all."""

from __future__ import annotations

import argparse

import pytest

from parallelops.cli import build_parser

pytestmark = pytest.mark.once

LINES, COLUMNS = 24, 80


def commands(parser, *words):
    """The words of each command, and its parser."""
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, command in action.choices.items():
                yield from commands(command, *words, word)


COMMANDS = dict(commands(build_parser()))


@pytest.fixture
def told(monkeypatch, capsys):
    """What a command says, to a terminal of the usual width."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))

    def told(*words):
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args(words)
        assert ended.value.code == 0
        return capsys.readouterr().out

    return told


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_fits_a_screen(told, words):
    """In lines and in columns, with the prompt after it."""
    lines = told(*words, "--help").splitlines()
    assert len(lines) < LINES, "\n".join(lines)
    assert max(map(len, lines)) < COLUMNS


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_all_options_are_told(told, words):
    """By ``--help-all`` where ``--help`` leaves some out."""
    options = [
        option
        for action in COMMANDS[words]._actions
        for option in action.option_strings
    ]
    more = "--help-all" in options
    everything = told(*words, "--help-all" if more else "--help")
    assert not [option for option in options if option not in everything]
    if more:
        short = told(*words, "--help")
        assert [option for option in options if option not in short]
