"""The options of the group [parallelops], from files and elsewhere."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from oslo_config import cfg

from parallelops import config
from parallelops.backends.options import Options
from parallelops.backends.serial import SerialExecutor
from parallelops.backends.thread import ThreadExecutor
from parallelops.errors import ConfigError
from parallelops.executor import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = Path(__file__).parents[1] / "docs" / "parallelops.conf.sample"
OPTIONS = {
    option.dest: option
    for _, options in config.list_opts()
    for option in options
}


def read(*args: object) -> cfg.ConfigOpts:
    """A configuration that has read its command line, and nothing else."""
    conf = cfg.ConfigOpts()
    conf(list(map(str, args)), default_config_files=[], default_config_dirs=[])
    return conf


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., cfg.ConfigOpts]:
    """Gives a configuration that has read a file with the given options."""

    def write(group: str = "parallelops", **options: object) -> cfg.ConfigOpts:
        lines = [f"{name} = {value}\n" for name, value in options.items()]
        file = tmp_path / "service.conf"
        file.write_text(f"[{group}]\n{''.join(lines)}")
        return read("--config-file", file)

    return write


def refused(conf: cfg.ConfigOpts) -> ConfigError:
    """The error that every function agrees on."""
    errors = []
    for function in (
        config.validate,
        config.executor_from,
        config.scrub_executor_from,
    ):
        with pytest.raises(ConfigError) as caught:
            function(conf)
        errors.append(caught.value)
    assert len(set(map(str, errors))) == 1
    return errors[0]


def test_by_default_there_are_threads() -> None:
    """A configuration without the group is a good one."""
    with config.executor_from(read()) as executor:
        assert type(executor) is ThreadExecutor
        assert executor.stats().max_queue == 1000


def test_a_configuration_that_read_nothing_has_the_defaults() -> None:
    """In a unit test nobody parses a command line."""
    with config.executor_from(cfg.ConfigOpts()) as executor:
        assert type(executor) is ThreadExecutor


def test_what_the_file_says_is_what_the_executor_gets(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """Every option for the backend arrives there."""
    conf = write(
        executor="thread",
        max_workers=3,
        max_queue=0,
        on_saturation="reject",
        idle_timeout=0.5,
        exit_timeout=0,
    )
    with config.executor_from(conf) as executor:
        assert isinstance(executor, ThreadExecutor)
        options = executor._pool.options
    assert options.max_workers == 3
    assert options.max_queue == 0
    assert options.on_saturation == "reject"
    assert options.idle_timeout == 0.5
    assert options.exit_timeout == 0


def test_an_operator_overrides_a_program(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """A service may choose for itself what the configuration leaves open."""
    conf = write(max_workers=3)
    with config.executor_from(
        conf, name="api", max_workers=9, max_queue=7
    ) as executor:
        assert executor.name == "api"
        assert executor.stats().max_workers == 3
        assert executor.stats().max_queue == 7


# What is wrong in the same way for each number.
NO_NUMBER = ["many", "nan", "inf", "-inf", "-1", "", "1e999", "1,5"]
NO_COUNT = [*NO_NUMBER, "1.5", "0x10"]
BAD = {
    "executor": ["", "threads", "THREAD"],
    "max_workers": [*NO_COUNT, "0"],
    "max_queue": NO_COUNT,
    "on_saturation": ["", "drop", "Block"],
    "idle_timeout": NO_NUMBER,
    "exit_timeout": NO_NUMBER,
    "scrub_catalog": [""],
    "scrub_stores": ["fast", "fast:/a,slow"],
    "scrub_pool_size": [*NO_COUNT, "0"],
    "scrub_time": NO_NUMBER,
    "scrub_delete_timeout": [*NO_NUMBER, "0", "0.5"],
    "scrub_rates": ["50", "a:", "a:0", "a:-1", "a:nan", "a:inf", "a:x"],
    "scrub_max_in_flight": ["5", "a:", "a:0", "a:1.5", "a:-1", "a:x"],
    "scrub_interval": [*NO_NUMBER, "0"],
    "scrub_drain": NO_NUMBER,
    "scrub_lease": [*NO_NUMBER, "0"],
    "executor_threadpool_size": [*NO_COUNT, "0"],
    "container_journal": [""],
    "container_max_pending": [*NO_COUNT, "0"],
    "container_max_pending_each": [*NO_COUNT, "0"],
    "container_on_full": ["", "drop", "Block"],
    "container_on_error": ["", "panic", "Continue"],
    "location_strategies": ["fastest"],
    "location_stores": [],  # any name may be that of a store
    "node_name": [""],
    "location_metrics_file": [""],
    "scrub_limits_file": [""],
    "image_handlers": ["magic"],
    "image_folders": ["images"],
    "download_in_agent": ["perhaps", ""],
    "download_spool": ["spool", ""],
    "download_connections": [*NO_COUNT, "0"],
    "download_timeout": [*NO_NUMBER, "0"],
    "download_origin_timeout": [*NO_NUMBER, "0"],
    "download_listen": ["", "6881", "host:6881", "0.0.0.0:66666", "1.2.3.4:"],
    "download_networks": ["10.0.0.1/8", "rack 12"],
    "download_trackers": ["udp://tracker/announce", "tracker"],
    "download_rack": [""],
    "download_ip": ["", "host", "10.0.0.0/8"],
    "download_tls_ca": [""],
    "download_tls_certificate": [""],
    "download_tls_key": [""],
    "download_local_discovery": ["perhaps", ""],
    "download_gate": ["", "nobody"],
    "download_fetchers": [*NO_COUNT, "0"],
    "download_grace": NO_NUMBER,
    "download_stall": [*NO_NUMBER, "0"],
    "download_patience": [*NO_NUMBER, "0"],
    "download_upload_limit": NO_COUNT,
    "download_seed_time": NO_NUMBER,
    "download_seed_ratio": NO_NUMBER,
    "download_seed_idle": NO_NUMBER,
    "download_seed_free_memory": NO_COUNT,
}


def test_every_option_has_bad_values() -> None:
    """No option is forgotten in the test that follows."""
    assert set(BAD) == set(OPTIONS)


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, values in BAD.items() for value in values],
)
def test_a_bad_value_fails_at_start(
    write: Callable[..., cfg.ConfigOpts], option: str, value: str
) -> None:
    """The error names the option as it is in the file, and the value."""
    error = refused(write(**{option: value}))
    assert error.option == f"[parallelops] {option}"
    assert str(error).startswith(f"[parallelops] {option}: ")
    assert repr(value) in str(error)
    assert error.__cause__ is not None


def test_the_error_says_what_to_write(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """It reads as a sentence, and ends with the remedy."""
    assert str(refused(write(max_workers="many"))) == (
        "[parallelops] max_workers: 'many' is not a whole number; "
        "it must be 1 or more"
    )


def test_the_environment_is_checked_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A value from OS_PARALLELOPS__... works, or fails, as one of a file."""
    monkeypatch.setenv("OS_PARALLELOPS__MAX_WORKERS", "5")
    with config.executor_from(read()) as executor:
        assert executor.stats().max_workers == 5
    monkeypatch.setenv("OS_PARALLELOPS__MAX_WORKERS", "nan")
    assert refused(read()).option == "[parallelops] max_workers"


def test_a_reason_is_not_taken_from_elsewhere(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """While another error is handled, the right one is told."""
    conf = write(max_workers="many")
    try:
        raise RuntimeError("elsewhere")
    except RuntimeError:
        assert "'many'" in str(refused(conf))


def test_overrides_work() -> None:
    """What a program sets is taken, and is checked when it is set."""
    conf = read()
    config.register_opts(conf)
    conf.set_override("max_workers", 2, group="parallelops")
    conf.set_override("scrub_pool_size", 3, group="parallelops")
    with config.executor_from(conf) as executor:
        assert executor.stats().max_workers == 2
    with config.scrub_executor_from(conf) as executor:
        assert executor.stats().max_workers == 3
    for value in (True, 1.5, 0):
        with pytest.raises(ValueError, match="not a whole number"):
            conf.set_override("max_workers", value, group="parallelops")


@pytest.mark.parametrize("name", ["max_worker", "max-workers", "Max_Workers"])
def test_a_misspelt_option_fails_at_start(
    write: Callable[..., cfg.ConfigOpts], name: str, tmp_path: Path
) -> None:
    """The error guesses what was meant, and names the file."""
    error = refused(write(**{name: 4}))
    assert error.option == f"[parallelops] {name}"
    assert "did you mean 'max_workers'?" in str(error)
    assert str(tmp_path / "service.conf") in str(error)
    assert "scrub_pool_size" in str(error)


def test_the_name_of_the_group_may_have_any_case(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """oslo.config does not tell cases of groups apart, so nor does this."""
    with config.executor_from(write("Parallelops", max_workers=2)) as executor:
        assert executor.stats().max_workers == 2
    error = refused(write("Parallelops", max_worker=2))
    assert error.option == "[parallelops] max_worker"


def test_every_file_is_searched(tmp_path: Path) -> None:
    """Several files, directories given and by default: all that is read."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    for directory, option in ((good, "max_workers"), (bad, "max_worker")):
        directory.mkdir()
        (directory / "1.conf").write_text(f"[parallelops]\n{option} = 4\n")
        # This one oslo.config does not read.
        (directory / ".hidden.conf").write_text("[parallelops]\nodd = 1\n")
    (good / "2.conf").write_text("[other]\nmax_worker = 4\n")
    files = ["--config-file", bad / "1.conf", "--config-file", good / "1.conf"]
    folders = ["--config-dir", bad, "--config-dir", good]
    for conf in (read(*files), read(*folders)):
        assert str(bad / "1.conf") in str(refused(conf))
    conf = cfg.ConfigOpts()
    conf(
        [],
        default_config_files=[str(good / "1.conf")],
        default_config_dirs=[str(bad)],
    )
    assert str(bad / "1.conf") in str(refused(conf))
    config.validate(read("--config-dir", good))


def test_the_options_of_others_are_known(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """What was registered in the group by somebody else is no mistake."""
    conf = write(colour="blue")
    conf.register_opt(cfg.StrOpt("colour"), group="parallelops")
    config.validate(conf)


def test_a_file_that_cannot_be_read_again_is_a_warning(
    write: Callable[..., cfg.ConfigOpts],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The values were read, so the service starts; the operator is told."""
    conf = write(max_workers=2)
    (tmp_path / "service.conf").unlink()
    with config.executor_from(conf) as executor:
        assert executor.stats().max_workers == 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(tmp_path / "service.conf") in record.getMessage()


def test_an_unknown_backend_is_guessed(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """The reason is what the loader says."""
    error = refused(write(executor="greenthreads"))
    assert "did you mean 'greenthread'?" in str(error)


def test_a_backend_that_is_not_installed_names_the_remedy(
    write: Callable[..., cfg.ConfigOpts], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing green threads without eventlet fails at start."""
    monkeypatch.setitem(sys.modules, "eventlet", None)
    monkeypatch.delitem(
        sys.modules, "parallelops.backends.greenthread", raising=False
    )
    error = refused(write(executor="greenthread"))
    assert error.option == "[parallelops] executor"
    assert "pip install 'parallelops[greenthread]'" in str(error)


def test_an_option_the_backend_does_not_take_fails_at_start(
    tmp_path: Path,
) -> None:
    """A plug-in need not take all of them; those not set are not passed."""
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[parallelops.executors]\nacme = acme:Acme\n"
    )
    (tmp_path / "acme.py").write_text(
        "from parallelops.backends.serial import SerialExecutor\n"
        "class Acme(SerialExecutor):\n"
        "    def __init__(self, max_workers): super().__init__(max_workers)\n"
    )
    (tmp_path / "good.conf").write_text(
        "[parallelops]\nexecutor = acme\nmax_workers = 2\n"
    )
    (tmp_path / "bad.conf").write_text(
        "[parallelops]\nexecutor = acme\nidle_timeout = 2\n"
    )
    code = """
import sys
from oslo_config import cfg
from parallelops import config
for name in "good.conf", "bad.conf":
    conf = cfg.ConfigOpts()
    conf(["--config-file", name])
    try:
        print(type(config.executor_from(conf)).__name__)
    except config.ConfigError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    good, bad = done.stdout.splitlines()
    assert good == "Acme"
    assert bad == (
        "[parallelops] idle_timeout: executor 'acme' does not take it; "
        "remove it"
    )


def test_a_scrub_is_serial_by_default(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """Whatever the other options are, one image at a time is serial."""
    for conf in (read(), write(max_workers=9, scrub_pool_size=1)):
        with config.scrub_executor_from(conf, name="scrub") as executor:
            assert type(executor) is SerialExecutor
            assert executor.name == "scrub"


def test_one_option_sets_the_degree_of_a_scrub(
    write: Callable[..., cfg.ConfigOpts],
) -> None:
    """It takes the place of ``max_workers``; the rest stays."""
    conf = write(scrub_pool_size=4, max_workers=9, max_queue=2)
    with config.scrub_executor_from(conf) as executor:
        assert type(executor) is ThreadExecutor
        assert executor.stats().max_workers == 4
        assert executor.stats().max_queue == 2


@pytest.mark.parametrize("name", ["serial", "dask"])
def test_some_backends_do_not_scrub_in_parallel(
    write: Callable[..., cfg.ConfigOpts], name: str
) -> None:
    """Options that contradict each other are not settled in silence."""
    if name == "dask":
        pytest.importorskip("distributed", reason="the extra is missing")
    error = refused(write(executor=name, scrub_pool_size=4))
    assert error.option == "[parallelops] scrub_pool_size"


def test_registering_again_does_no_harm() -> None:
    """Several parts of a service may each register the options."""
    conf = read()
    config.register_opts(conf)
    config.register_opts(conf)
    assert set(conf.parallelops) == set(OPTIONS)


def test_configurations_share_nothing() -> None:
    """What is set in one is not set in another, nor in the global one."""
    one, other = read(), read()
    config.register_opts(one)
    one.set_override("max_workers", 2, group="parallelops")
    config.register_opts(other)
    assert other.parallelops.max_workers is None
    assert "parallelops" not in cfg.CONF


@pytest.mark.parametrize(
    "field",
    [f for f in dataclasses.fields(Options) if f.name in OPTIONS],
    ids=lambda field: field.name,
)
def test_the_sample_tells_the_real_default(
    field: dataclasses.Field[Any],
) -> None:
    """What is left to the built-in backends is told as it is there."""
    option = OPTIONS[field.name]
    assert option.default is None
    if field.default is dataclasses.MISSING:
        assert option.sample_default is None
    else:
        assert option.type(option.sample_default) == field.default


def test_every_policy_can_be_chosen() -> None:
    """The choices are those of the executor, each with its meaning."""
    choices = OPTIONS["on_saturation"].type.choices
    assert tuple(choices) == POLICIES
    assert all(choices.values())


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda o: o.dest)
def test_the_sample_keeps_the_lines_of_the_help(option: cfg.Opt) -> None:
    """The generator wraps lines of more than 68 characters, and badly."""
    assert max(map(len, option.help.splitlines())) <= 68


def test_the_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    """``nox -s sample`` writes it anew."""
    written = tmp_path / "sample"
    subprocess.run(
        [
            *(sys.executable, "-m", "oslo_config.generator"),
            *("--namespace", "parallelops", "--output-file", str(written)),
        ],
        check=True,
    )
    assert SAMPLE.read_text() == written.read_text()


def test_the_sample_is_a_good_configuration(tmp_path: Path) -> None:
    """Every value that it shows can be used as it stands."""
    settings = re.sub(r"(?m)^#(\w+ = [^<\n]+)$", r"\1", SAMPLE.read_text())
    assert "\nmax_queue = 1000\n" in settings
    file = tmp_path / "service.conf"
    file.write_text(settings)
    config.validate(read("--config-file", file))
