"""``parallelops scrub --glance-config``, on a real Glance."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def url(tmp_path, migrated):
    """One kind of database will do."""
    path = tmp_path / "glance.sqlite"
    path.write_bytes(migrated.read_bytes())
    return f"sqlite:///{path}"


def test_it_scrubs_and_says_so(glance):
    """With Glance's own file and nothing else."""
    glance.write_config(scrub_pool_size=4)
    glance.deleted(3, locations=2)
    done = glance.command()
    assert done.returncode == 0, done.stderr
    assert "6 deleted; 3 images deleted" in done.stdout
    assert glance.files() == set()
    assert "nothing to do" in glance.command().stdout


def test_its_exit_status_is_true(glance):
    """Glance's scrubber has 0 in every case."""
    glance.deleted(urls=["http://example.invalid/image"])
    done = glance.command("--json")
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)["results"]
    assert result["outcome"] == "unsupported"


def test_a_dry_run_touches_nothing(glance):
    """Not even what Glance restored."""
    glance.deleted()
    (restored,) = glance.deleted()
    glance.glance_restore(restored)
    assert "1 would_delete" in glance.command("--dry-run").stdout
    assert glance.downloadable(restored) == []
    assert glance.command().returncode == 0
    assert len(glance.downloadable(restored)) == 1


def test_glance_names_the_options(glance):
    """scrub_time is honoured; our own group wins, and arguments do."""
    glance.deleted()
    glance.write_config(scrub_time=3600)
    assert "nothing to do" in glance.command().stdout
    glance.write_config("[parallelops]\nscrub_time = 4000\n", scrub_time=0)
    assert "nothing to do" in glance.command().stdout
    assert "1 deleted" in glance.command("--scrub-time=0").stdout


def test_restore(glance):
    """By the argument, or as Glance has it in its file."""
    first, second = glance.deleted(2)
    assert "is active again" in glance.command("--restore", first).stdout
    glance.write_config(restore=second)
    assert glance.command().returncode == 0
    for image_id in (first, second):
        assert glance.status(image_id) == ("active", ["active"])
    refused = glance.command("--restore", first)
    assert refused.returncode == 1
    assert "from active to active" in refused.stderr


def test_the_daemon_scrubs_until_it_is_stopped(glance):
    """And ends well."""
    glance.write_config(daemon=True, wakeup_time=1, scrub_pool_size=2)
    glance.deleted()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "parallelops", "scrub"),
            *("--glance-config", glance.config, "--interval=1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as daemon:
        try:
            assert "1 deleted" in daemon.stdout.readline()
            glance.deleted()
            while "1 deleted" not in (line := daemon.stdout.readline()):
                assert "nothing to do" in line
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(timeout=30) == 0
        finally:
            daemon.kill()
    assert glance.files() == set()


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("[database]\n", [], "[database] connection"),
        ("[DEFAULT]\nscrub_time = soon\n", [], "[DEFAULT] scrub_time"),
        (None, ["--catalog=x"], "leave out --catalog"),
        ("[DEFAULT\n", [], "glance-scrubber.conf"),
        (
            "[database]\nconnection = nonsense://x\n",
            [],
            "Glance's database cannot be used",
        ),
        ("[parallelops]\nscrub_tim = 1\n", [], "scrub_tim"),
    ],
)
def test_what_cannot_work_is_named(glance, text, arguments, expected):
    """In one line."""
    if text is not None:
        old = glance.config.read_text() if "parallelops" in text else ""
        glance.config.write_text(old + text)
    done = glance.command(*arguments)
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_is_not_told(glance):
    """That of the database."""
    secret = "hunter2"
    glance.config.write_text(
        "[database]\n"
        f"connection = mysql+pymysql://glance:{secret}@127.0.0.1:1/glance\n"
    )
    done = glance.command()
    assert done.returncode == 1
    assert "mysql+pymysql://glance:***@127.0.0.1:1/glance" in done.stderr
    assert secret not in done.stderr + done.stdout
