"""The commands for container operations, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parallelops.cli import main
from parallelops.containers import Entry, SQLiteJournal, State


@pytest.fixture
def path(tmp_path):
    """A journal whose conductor has ended."""
    path = tmp_path / "journal.sqlite"
    with SQLiteJournal(path) as journal:
        lease = journal.take("", "me", 1.0, None)
        for number, container in enumerate("aab"):
            accepted = journal.accept(
                lease,
                Entry(
                    id=f"o{number}",
                    container=container,
                    action="start",
                    parameters='{"n":1}',
                    mode="exclusive",
                    recovery="never",
                    scope="",
                    accepted_at=1.0,
                ),
            )
            if number != 1:
                journal.advance(lease, accepted.to(State.RUNNING, 2.0))
        (done,) = journal.advance(
            lease,
            journal.find("o0").to(State.SUCCEEDED, 3.0, result="[5]"),
        )
        assert done.finished
    return str(path)


def output(capsys, *arguments, status=0):
    """What a command prints."""
    assert main(["operations", *arguments]) == status
    return capsys.readouterr().out


def test_list(capsys, path):
    """All, of one container, or in one state."""
    lines = output(capsys, "list", path).splitlines()
    assert lines[0].split()[:3] == ["SEQUENCE", "ID", "CONTAINER"]
    assert [line.split()[1] for line in lines[1:]] == ["o0", "o1", "o2"]
    for arguments, wanted in (
        (("--container", "a"), ["o0", "o1"]),
        (("--state", "running", "--state", "accepted"), ["o1", "o2"]),
        (("--limit", "1"), ["o2"]),
        (("--container", "nobody"), []),
    ):
        found = json.loads(output(capsys, "list", path, *arguments, "--json"))
        assert [entry["id"] for entry in found] == wanted


def test_show(capsys, path):
    """All of one operation."""
    assert "result: [5]" in output(capsys, "show", path, "o0").splitlines()
    shown = json.loads(output(capsys, "show", path, "o0", "--json"))
    assert shown["parameters"] == {"n": 1}
    assert main(["operations", "show", path, "nobody"]) == 1
    assert "no operation 'nobody'" in capsys.readouterr().err


def test_recover_and_settle(capsys, path):
    """What was running is unknown, until somebody says what it was."""
    assert "o2" in output(capsys, "recover", path, status=1)
    found = json.loads(output(capsys, "recover", path, "--json", status=1))
    assert [(e["id"], e["state"]) for e in found] == [("o2", "unknown")]
    output(capsys, "recover", path, "--settle", "o2=succeeded")
    with SQLiteJournal(path) as journal:
        assert journal.find("o2").state is State.SUCCEEDED
        assert journal.find("o1").state is State.ACCEPTED
        assert journal.leases()[0].owner == ""
    assert main(["operations", "recover", path, "--settle", "o2=failed"]) == 1
    assert "not unknown" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["operations", "recover", path, "--settle", "o2=perhaps"])


def test_audit(capsys, path):
    """It counts, and finds damage."""
    said = output(capsys, "audit", path).splitlines()
    assert said[-1] == "nothing is wrong"
    assert "" not in said
    found = json.loads(output(capsys, "audit", path, "--json"))
    assert found["states"]["running"] == 1
    assert found["leases"] == {"": 1}
    with Path(path).open("r+b") as file:
        content = file.read()
        file.seek(content.index(b"succeeded", content.index(b"[5]") - 99))
        file.write(b"Succeeded")
    assert "o0" in output(capsys, "audit", path, status=1)


def test_a_journal_that_is_not_there(capsys, tmp_path):
    """It is not made."""
    path = tmp_path / "nothing"
    assert main(["operations", "list", str(path)]) == 1
    assert "No such file" in capsys.readouterr().err
    assert not path.exists()


def test_the_demo_loses_nothing(capsys):
    """A conductor is killed half-way, and recovered."""
    arguments = ["--containers", "6", "--operations", "60", "--workers", "4"]
    assert main(["demo", "containers", *arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["states"]["succeeded"] == result["requested"] == 60
    assert result["left"] >= result["done"] >= 30
    assert result["lost"] == result["doubled"] == 0
    assert main(["demo", "containers", *arguments]) == 0
    assert "done twice that must not be" in capsys.readouterr().out
