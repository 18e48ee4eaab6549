"""What is checked, and how: ``nox`` does all of it, ``nox --list`` tells.

Each session installs what it needs and no more, into a virtual environment
that the next run finds again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"  # the first with download_python
nox.options.reuse_existing_virtualenvs = True
# Test on the Pythons that are here, in CI too: no machine must have all.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

PROJECT = nox.project.load_toml("pyproject.toml")
# The Python that runs nox is surely here, so that the tests always run.
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({*nox.project.python_versions(PROJECT), HERE})

# How many schedules each scenario in tests/explored runs under.
FULL, FEW = "500", "20"

# And how many the session explore runs in all, for hours.
MANY = "2000000"

# Not editable: what is tested is what people install.
PACKAGE = ".[greenthread,cli,opentelemetry,prometheus]"


def group(name: str) -> tuple[str, ...]:
    """The requirements of one of the dependency groups."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Read the code for mistakes, and for how it is laid out."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, of this file as well."""
    session.install(PACKAGE, *group("types"), "nox")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; what follows ``--`` goes to pytest."""
    session.install(PACKAGE, *group("test"))
    # Mutants tell the same on each Python, and most of exploring does: the
    # ones are left to one of them, and the most of the other to another.
    once = () if session.python == HERE else ("-m", "not once")
    schedules = FULL if session.python == PYTHONS[0] else FEW
    session.run(
        "pytest",
        *("-n", "auto", "--dist", "loadfile"),
        *once,
        *session.posargs,
        env={"PARALLELOPS_SCHEDULES": schedules},
    )


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that are declared to do."""
    about = PROJECT["project"]
    declared = list(about["dependencies"])
    for extra in about["optional-dependencies"].values():
        declared += extra
    constraints = Path(session.create_tmp()) / "constraints.txt"
    constraints.write_text("\n".join(declared).replace(">=", "=="))
    session.install(PACKAGE, *group("test"), "-c", str(constraints))
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Make the pages of the documentation; a warning is an error."""
    session.install(PACKAGE, *group("docs"))
    session.run(
        *("sphinx-build", "--fail-on-warning", "--quiet"),
        *("docs", str(Path(session.create_tmp()) / "html")),
    )


@nox.session(default=False)
def glance(session: nox.Session) -> None:
    """Test with a real Glance, and MariaDB if it is here.

    After ``-- bench`` it runs the benchmark against Glance's own scrubber.
    """
    session.install(".[glance]", "pymysql", *group("test"))
    if session.posargs[:1] == ["bench"]:
        script = "benchmarks/bench_glance.py"
        session.run("python", "-W", "ignore", script, *session.posargs[1:])
        return
    session.run("pytest", "tests/integrations/glance", *session.posargs)


@nox.session(default=False)
def ironic(session: nox.Session) -> None:
    """Test with Ironic's agent; with a loop device too, if root."""
    session.install(".[ironic]", "oslotest", *group("test"))
    session.run("pytest", "tests/integrations/ironic", *session.posargs)


@nox.session(default=False)
def explore(session: nox.Session) -> None:
    """Explore for hours; ``-- 10000`` runs that many schedules instead.

    When it was stopped, the same command goes on from there.
    """
    session.install(PACKAGE, *group("test"))
    session.run(
        *("python", "-m", "parallelops.testing.campaign"),
        *("--state", ".nox/explore.json"),
        *(session.posargs or [MANY]),
        "tests/explored",
    )


@nox.session(default=False)
def sample(session: nox.Session) -> None:
    """Write the sample configuration file anew."""
    session.install(".")
    session.run(
        "oslo-config-generator",
        *("--namespace", "parallelops"),
        *("--output-file", "docs/parallelops.conf.sample"),
    )


@nox.session(default=False)
def pictures(session: nox.Session) -> None:
    """Record what the documentation shows, and draw it anew."""
    session.install(".")
    trace = Path(session.create_tmp()) / "scrub.json"
    trace.unlink(missing_ok=True)
    scripts = Path("docs/pictures")
    session.run("python", str(scripts / "record.py"), str(trace))
    session.run(
        *("python", str(scripts / "timeline.py")),
        *(str(trace), str(scripts / "scrub-timeline.svg")),
    )


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks; what follows ``--`` goes to each of them."""
    session.install(PACKAGE, *group("bench"))
    # Each in a process of its own: one of them may patch the whole process.
    for path in sorted(Path("benchmarks").glob("bench_*.py")):
        session.run("python", str(path), *session.posargs)
