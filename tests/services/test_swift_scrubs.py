"""Glance's images in a real Swift, scrubbed by glance_store's driver."""

from __future__ import annotations

import collections

import pytest
from swiftclient import ClientException, Connection
from tests.services import nginx, swiftglance
from tests.services.processes import free_ports
from tests.services.swift import PASSWORD, STRANGER

from parallelops.events import StoreThrottled
from parallelops.images import Kind, Outcome, classify
from parallelops.integrations.glance import GlanceStores

OBJECTS = 10


@pytest.fixture(scope="module")
def limited(swift):
    """A proxy that lets five deletes a second through, and has no more
    than two wait."""
    return swift.limited(container_ratelimit_0=5, max_sleep_time_seconds=0.4)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """Glance's tables."""
    path = tmp_path_factory.mktemp("glance")
    swiftglance.migrate(f"sqlite:///{path}/glance.sqlite", path)
    return path / "glance.sqlite"


@pytest.fixture
def glance(tmp_path, migrated):
    """Makes a Glance that signs in at a URL."""
    made = []

    def glance(auth):
        made.append(swiftglance.make(tmp_path, auth, migrated))
        return made[-1]

    yield glance
    for each in made:
        each.close()


@pytest.fixture
def folder(tmp_path):
    """Where an nginx may be."""
    if nginx.missing():
        pytest.skip(nginx.missing())
    path = tmp_path / "nginx"
    path.mkdir()
    return path


def scrub(world, workers=8):
    """The report, and how often the store said "slow down"."""
    seen = collections.Counter()
    report = world.scrub(
        workers, observers=[lambda event: seen.update([type(event)])]
    )
    return report, seen[StoreThrottled]


def test_swift_says_slow_down_and_all_is_deleted(swift, limited, glance):
    """By 498, which its client would keep to itself, and wait."""
    world = glance(limited.auth)
    ids = swiftglance.deleted(world, swift.proxy, "busy", OBJECTS)
    report, throttled = scrub(world)
    assert report.ok, report.summary()
    assert throttled
    assert swift.proxy.names("busy") == []
    assert {world.status(i)[0] for i in ids} == {"deleted"}


def test_a_server_in_front_says_slow_down_and_all_is_deleted(
    swift, glance, folder
):
    """By 429, as of nginx."""
    (port,) = free_ports(1)
    http = nginx.LIMIT.format(
        port=port, rate=5, burst=2, behind=swift.proxy.port
    )
    with nginx.running(folder, port, http):
        world = glance(f"http://127.0.0.1:{port}/v3")
        swiftglance.deleted(world, swift.proxy, "fronted", OBJECTS)
        report, throttled = scrub(world)
    assert report.ok, report.summary()
    assert swift.proxy.names("fronted") == []
    answers = (folder / "access.log").read_text().split("\n")
    assert answers.count("DELETE 429") == throttled > 0
    assert answers.count("DELETE 204") == OBJECTS


def test_each_worker_signs_in_once_at_most(swift, glance, folder):
    """glance_store would do it for each delete."""
    (port,) = free_ports(1)
    http = nginx.LIMIT.format(
        port=port, rate=1000, burst=1000, behind=swift.proxy.port
    )
    with nginx.running(folder, port, http):
        world = glance(f"http://127.0.0.1:{port}/v3")
        swiftglance.deleted(world, swift.proxy, "signed", 3 * OBJECTS)
        report, _ = scrub(world, workers=3)
    assert report.ok, report.summary()
    assert swift.proxy.names("signed") == []
    answers = (folder / "access.log").read_text().split("\n")
    assert answers.count("DELETE 204") == 3 * OBJECTS
    assert 1 <= answers.count("POST 201") <= 3


def test_a_token_that_is_not_taken_any_more_is_made_anew(swift, glance):
    """And what it was for is done all the same."""
    world = glance(swift.proxy.auth)
    stores = GlanceStores(world.conf())
    store, driver = stores.by_name["swift"], stores.by_name["swift"]._driver
    for number in range(2):
        swift.proxy.put(f"/expired/{number}")
    store.delete("swift+config://ref1/expired/0")
    ((who, (url, good)),) = driver.tokens.items()
    driver.tokens[who] = url, "AUTH_tkexpired"
    store.delete("swift+config://ref1/expired/1")
    assert driver.tokens[who] == (url, good)
    assert swift.proxy.names("expired") == []
    assert good not in repr(driver)


def test_a_large_object_goes_with_its_segments(swift, glance):
    """A manifest alone would leave the data behind."""
    world = glance(swift.proxy.auth)
    swift.proxy.put_large("/whole/image", b"x" * 2500, 1000)
    assert len(swift.proxy.names("whole")) == 4
    world.deleted(urls=["swift+config://ref1/whole/image"])
    report, _ = scrub(world)
    assert report.ok, report.summary()
    assert swift.proxy.names("whole") == []


def test_what_is_gone_is_believed_of_the_right_swift_only(swift, glance):
    """One that has none of the active images either may be another one."""
    world = glance(swift.proxy.auth)
    urls = [f"swift+config://ref1/nowhere/{n}" for n in range(30)]
    for url in urls:
        world.deleted(urls=[url])
    swift.proxy.put("/somewhere/active")
    world.add(urls=["swift+config://ref1/nowhere/active"])
    report, _ = scrub(world)
    assert report.counts[Outcome.GONE] == 0
    assert len(report.failures) == 30
    world.add(urls=["swift+config://ref1/somewhere/active"])
    report, _ = scrub(world)
    assert report.ok, report.summary()
    assert report.counts[Outcome.GONE] == 30


def kind_of(connection, function):
    """What the error means that comes of it."""
    with pytest.raises(ClientException) as caught:
        function(connection)
    return classify(caught.value).kind


def test_errors_of_swifts_client_are_told_apart(swift):
    """As a real Swift brings them about; 498 is above."""
    proxy = swift.proxy
    proxy.put("/errors/object")

    def with_token(token):
        url = proxy.url + proxy.path
        return Connection(retries=0, preauthurl=url, preauthtoken=token)

    def delete(connection, name="object"):
        connection.delete_object("errors", name)

    ours = with_token(proxy.token)
    assert kind_of(ours, lambda c: delete(c, "other")) == Kind.GONE
    assert kind_of(ours, lambda c: c.delete_container("errors")) == (
        Kind.BLOCKED
    )
    stranger = with_token(proxy.token_of(STRANGER))
    assert kind_of(stranger, delete) == Kind.BLOCKED
    assert kind_of(with_token("AUTH_tkold"), delete) == Kind.RETRY
    assert proxy.names("errors") == ["object"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, Kind.BUSY), (429, Kind.BUSY), (404, Kind.RETRY), (403, Kind.RETRY)],
)
def test_a_keystone_that_is_busy_is_not_asked_so_often(folder, status, kind):
    """What Keystone does not find, or forbids, says nothing of the data."""
    (port,) = free_ports(1)
    http = f"server {{ listen 127.0.0.1:{port}; return {status}; }}"
    with nginx.running(folder, port, http):
        connection = Connection(
            f"http://127.0.0.1:{port}/v3",
            "tester",
            PASSWORD,
            retries=0,
            tenant_name="test",
            auth_version="3",
        )
        assert kind_of(connection, lambda c: c.delete_object("a", "b")) == kind
