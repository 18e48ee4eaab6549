"""What is checked, and how: ``nox`` does all of it, ``nox --list`` tells.

Each session installs what it needs and no more, into a virtual environment
that the next run finds again.
"""

from __future__ import annotations

import os
import shutil
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

# Files of tests run side by side, more than there are cores: many wait for
# processes. They begin in their order, or the longest tests would be last.
TOGETHER = (
    *("-n", str(2 + (os.cpu_count() or 1))),
    *("--dist", "loadfile", "--no-loadscope-reorder"),
)

# Not editable: what is tested is what people install.
PACKAGE = ".[greenthread,cli,opentelemetry,prometheus]"


# Where what is built goes.
DIST = Path(".nox") / "dist"


def built(pattern: str) -> list[str]:
    """The files of that name which the session ``release`` has built."""
    return sorted(str(path) for path in DIST.glob(pattern))


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
        *TOGETHER,
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
    session.run("pytest", *TOGETHER, *session.posargs)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Make the pages of the documentation; a warning is an error."""
    session.install(PACKAGE, *group("docs"))
    session.run(
        *("sphinx-build", "--fail-on-warning", "--quiet"),
        *("docs", str(Path(session.create_tmp()) / "html")),
    )


@nox.session
def services(session: nox.Session) -> None:
    """Test with the real services of others: Swift, Ironic's agent, caches.

    What needs a program that is not here is skipped: ``.ci/packages`` has
    Debian's names of them. After ``-- bench`` it runs the benchmark of
    scrubbing a Swift that has limits.
    """
    session.install(
        *(".[glance,ironic]", "oslotest"),
        *(*group("test"), *group("services")),
    )
    if session.posargs[:1] == ["bench"]:
        script = "benchmarks/bench_swift.py"
        session.run("python", "-W", "ignore", script, *session.posargs[1:])
        return
    session.run(
        *("pytest", *TOGETHER),
        *("tests/services", "tests/integrations/ironic"),
        *session.posargs,
    )


@nox.session(default=False)
def glance(session: nox.Session) -> None:
    """Test with a real Glance, and the database servers that are here.

    After ``-- bench`` it runs the benchmark against Glance's own scrubber.
    """
    drivers = ("pymysql", "psycopg2-binary")
    session.install(".[glance,greenthread]", *drivers, *group("test"))
    if session.posargs[:1] == ["bench"]:
        script = "benchmarks/bench_glance.py"
        session.run("python", "-W", "ignore", script, *session.posargs[1:])
        return
    session.run(
        *("pytest", *TOGETHER),
        "tests/integrations/glance",
        *session.posargs,
    )


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
def share(session: nox.Session) -> None:
    """Write the completions of shells and the manual page anew."""
    session.install(".", "argparse-manpage", "shtab")
    session.run("python", "share/make.py", "share")


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Build wheel and sdist, look into them, and try the wheel.

    They are in ``.nox/dist`` afterwards, with a list of what the wheel
    brings along (an SBOM of CycloneDX).
    """
    session.install(*group("release"))
    shutil.rmtree(DIST, ignore_errors=True)
    # The sdist, the wheel from that, and the wheel from here.
    session.run("python", "-m", "build", "--outdir", str(DIST))
    here = str(DIST / "here")
    session.run("python", "-m", "build", "--wheel", "--outdir", here)
    session.run("twine", "check", "--strict", *built("parallelops*"))
    session.run(
        *("pytest", "tests/test_release.py"),
        env={"PARALLELOPS_DIST": str(DIST.resolve())},
    )
    clean = Path(session.create_tmp()) / "clean"
    python = str(clean / "bin" / "python")
    session.run("python", "-m", "venv", "--clear", "--without-pip", clean)
    session.run("pip", "--python", python, "install", *built("*.whl"))
    session.run(
        *("cyclonedx-py", "environment", "--pyproject", "pyproject.toml"),
        *("--mc-type", "library", "--output-reproducible"),
        *("--output-file", str(DIST / "sbom.cdx.json"), python),
    )
    for version in PYTHONS:
        session.notify(f"wheel-{version}")


@nox.session(python=PYTHONS, default=False, reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Have the first minutes with the wheel that ``release`` has built."""
    session.install(*built("*.whl"))
    session.run("parallelops", "demo", "--images", "48")
    session.run("parallelops", "demo", "containers")
    session.run("parallelops", "demo", "download", "--agents", "3")


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
    herd = Path(session.create_tmp()) / "herd.jsonl"
    session.run("python", str(scripts / "recordherd.py"), str(herd))
    session.run(
        *("python", str(scripts / "herd.py")),
        *(str(herd), str(scripts / "herd.svg")),
    )
    session.run(
        *("python", str(scripts / "house.py")),
        *("src/parallelops", str(scripts / "house.svg")),
    )
    session.run(
        *("python", str(scripts / "ratios.py")),
        *(str(scripts / "ratios.jsonl"), str(scripts / "ratios.svg")),
    )


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks; what follows ``--`` goes to each of them.

    ``nox -s pictures`` draws the ratios that this keeps.
    """
    session.install(PACKAGE, *group("bench"))
    results = Path("docs/pictures/ratios.jsonl")
    results.unlink(missing_ok=True)
    # Each in a process of its own: one of them may patch the whole process.
    for path in sorted(Path("benchmarks").glob("bench_*.py")):
        session.run(
            *("python", str(path), *session.posargs),
            env={"PARALLELOPS_BENCH": str(results)},
        )
