"""The one client for outgoing HTTP: where it goes, how often, how much it takes, and what its errors do not tell."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import ipaddress
import json
import socket
import threading
import zlib

import httpx
import pytest
from support.hostile_http import Answer, FakeTime, in_turn, site

from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress, HttpCache, Limits
from modelyard.methods.data.egress.addresses import literal, verdict
from modelyard.methods.data.egress.decoding import PIECE_BYTES, pieces
from modelyard.methods.data.egress.limits import TokenBucket, backoff, retry_after
from modelyard.methods.data.egress.reply import excerpt, masked_url
from modelyard.methods.data.egress.transport import proxy_of


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def time():
    return FakeTime()


def egress(time=None, **settings):
    extra = {name: settings.pop(name) for name in ("secrets", "headers", "seed") if name in settings}
    time = time or FakeTime()
    return Egress(Limits(**settings), sleep=time.sleep, **extra)


def as_json(value, **more):
    return lambda asked: Answer(json.dumps(value).encode(), **more)


FORBIDDEN = (
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "fe80::1", "fe80::a9fe:a9fe", "fd00:ec2::254", "fd20:ce::254",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "224.0.0.1", "255.255.255.255", "ff02::1",
)  # fmt: skip
PRIVATE = ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1", "fd12::1", "0.0.0.0", "::ffff:10.0.0.1")


@pytest.mark.parametrize("text", FORBIDDEN)
def test_link_local_and_metadata_addresses_are_forbidden_in_every_form(text):
    assert verdict(ipaddress.ip_address(text)) == "forbidden"


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_told_apart(text):
    assert verdict(ipaddress.ip_address(text)) == "private"


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(text):
    assert verdict(ipaddress.ip_address(text)) == "public"


@pytest.mark.parametrize("text", ["2852039166", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518"])
def test_other_spellings_of_an_address_are_the_same_address(text):
    assert str(literal(text)) == "169.254.169.254"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "2852039166", "[::ffff:169.254.169.254]", "100.100.100.200"]
)
def test_the_metadata_service_is_never_asked(host):
    with egress() as client, pytest.raises(InputError, match="metadata"):
        client.get(f"http://{host}/latest/meta-data")


def test_a_name_is_judged_by_every_address_it_has(monkeypatch):
    real = socket.getaddrinfo

    def answers(host, port, *rest, **more):
        if host != "data.example":
            return real(host, port, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.1", "169.254.169.254")]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with site({"/": as_json(1)}) as server, egress() as client, pytest.raises(InputError, match="metadata"):
        client.get(f"http://data.example:{server.port}/")


def test_a_name_is_looked_up_once_so_that_it_cannot_change_between_check_and_use(monkeypatch):
    real, looked_up = socket.getaddrinfo, []

    def rebinding(host, port, *rest, **more):
        if host != "rebinding.example":
            return real(host, port, *rest, **more)
        looked_up.append(host)
        ip = "127.0.0.1" if len(looked_up) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with site({"/": as_json("ok")}) as server, egress() as client:
        assert client.get_json(f"http://rebinding.example:{server.port}/").json() == "ok"
    assert looked_up == ["rebinding.example"]


def test_private_addresses_can_be_refused():
    with site({"/": as_json(1)}) as server:
        with egress(allow_private=False) as client, pytest.raises(InputError, match="private"):
            client.get(server.url)
        assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "gopher://x", "x", "http://", "//host/x"])
def test_only_http_is_spoken(url):
    with egress() as client, pytest.raises(InputError):
        client.get(url)


def test_a_redirect_to_the_metadata_service_is_refused():
    moved = Answer(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/iam"})
    with site({"/": lambda asked: moved}) as server, egress() as client, pytest.raises(InputError, match="metadata"):
        client.get(server.url)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/"])
def test_a_redirect_to_another_protocol_is_refused(target):
    moved = Answer(status=302, headers={"Location": target})
    with site({"/": lambda asked: moved}) as server, egress() as client, pytest.raises(InputError, match="redirect"):
        client.get(server.url)


def test_a_redirect_loop_ends():
    around = {
        "/a": Answer(status=302, headers={"Location": "/b"}),
        "/b": Answer(status=302, headers={"Location": "/a"}),
    }
    with site({path: in_turn(answer) for path, answer in around.items()}) as server, egress() as client:
        with pytest.raises(InputError, match="5 redirects"):
            client.get(server.url + "/a")
        assert len(server.asked) == 6


def test_credentials_follow_a_redirect_on_the_same_host_and_to_no_other():
    with site({"/end": as_json("end")}) as other:
        moves = {
            "/here": Answer(status=302, headers={"Location": "/end"}),
            "/there": Answer(status=302, headers={"Location": f"{other.url}/end"}),
        }
        routes = {path: in_turn(answer) for path, answer in moves.items()} | {"/end": as_json("end")}
        with site(routes) as server, egress(headers={"X-Api-Key": "abcdef"}) as client:
            for path in moves:
                client.get_json(server.url + path, headers={"Authorization": "Bearer abcdef"})
            ours = [asked.headers for asked in server.asked if asked.path == "/end"]
        assert [headers["x-api-key"] for headers in ours] == ["abcdef"]
        assert [headers["authorization"] for headers in ours] == ["Bearer abcdef"]
        assert {"x-api-key", "authorization"} & set(other.asked[0].headers) == set()


def test_credentials_in_the_address_are_used_and_not_shown():
    with site({"/": lambda asked: Answer(b"no", 403)}) as server, egress() as client:
        with pytest.raises(InputError) as caught:
            client.get(server.url.replace("http://", "http://ann:hunter22@"), params={"api_key": "qwerty", "page": 2})
        assert server.asked[0].headers["authorization"].startswith("Basic ")
    assert "hunter22" not in str(caught.value)
    assert "qwerty" not in str(caught.value)
    assert "page=2" in str(caught.value)


def test_a_secret_is_masked_wherever_it_comes_back():
    echo = lambda asked: Answer(f"bad key tök/en= and t%C3%B6k%2Fen%3D for {asked.path}".encode(), 400)  # noqa: E731
    with site({"/": echo}) as server, egress(secrets=["tök/en="]) as client, pytest.raises(InputError) as caught:
        client.get(server.url, params={"q": "tök/en="})
    assert "tök/en=" not in str(caught.value)
    assert "t%C3%B6k" not in str(caught.value)
    assert "400" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h.example/x?token=1&page=2", "https://h.example/x?token=***&page=2"),
        ("https://h.example/x?X-Amz-Signature=aa&code=b&sort=a", "https://h.example/x?X-Amz-Signature=***&code=***&sort=a"),
        ("https://h.example/hidden-thing/x", "https://h.example/***/x"),
        ("http://[", "***"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_secrets(url, shown):
    assert masked_url(url, ["hidden-thing"]) == shown


def test_a_passing_fault_is_tried_again_with_growing_waits(time):
    answers = [Answer(status=status) for status in (500, 408, 429)]
    with site({"/": in_turn(*answers, Answer(b"[1]"))}) as server, egress(time) as client:
        assert client.get_json(server.url).json() == [1]
        assert client.num_retries == 3
    assert 0.25 <= time.slept[0] <= 0.5 <= time.slept[1] <= 1.0 <= time.slept[2] <= 2.0


def test_jitter_is_seeded():
    limits = Limits()
    waits = [backoff(limits, attempt, 7, "x") for attempt in range(12)]
    assert waits == [backoff(limits, attempt, 7, "x") for attempt in range(12)]
    assert waits != [backoff(limits, attempt, 8, "x") for attempt in range(12)]
    assert max(waits) <= limits.max_wait_s


def test_attempts_end(time):
    with site({"/": in_turn(Answer(b"down", 503))}) as server, egress(time, retries=3) as client:
        with pytest.raises(InputError, match=r"503.*down"):
            client.get(server.url)
        assert len(server.asked) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_fault_that_stays_is_not_tried_again(status):
    with site({"/": in_turn(Answer(status=status))}) as server, egress() as client:
        with pytest.raises(InputError, match=str(status)):
            client.get(server.url)
        assert len(server.asked) == 1


def test_a_status_can_be_an_answer():
    with site() as server, egress() as client:
        assert client.get(server.url + "/robots.txt", accept=(404,)).status == 404


def test_retry_after_is_honoured_and_capped(time):
    asks = [Answer(status=429, headers={"Retry-After": text}) for text in ("7", "9999")]
    with site({"/": in_turn(*asks, Answer(b"1"))}) as server, egress(time, max_wait_s=30) as client:
        client.get(server.url)
    assert time.slept[0] == 7
    assert time.slept[1] == 30


def test_retry_after_is_seconds_or_a_date():
    now = datetime.datetime(2024, 5, 6, 7, 8, 0, tzinfo=datetime.UTC)
    assert retry_after("12", now) == 12
    assert retry_after("Mon, 06 May 2024 07:08:30 GMT", now) == 30
    assert retry_after("Mon, 06 May 2024 07:00:00 GMT", now) == 0
    assert retry_after("99999999999999999999", now) == 999999999
    assert [retry_after(text, now) for text in ("", "soon", "-1", "1e9", "²")] == [None] * 5


def test_what_is_posted_is_not_repeated_unless_it_may_be():
    with site({"/": in_turn(Answer(status=503), Answer(b"{}"))}) as server, egress() as client:
        with pytest.raises(InputError, match="503"):
            client.post_json(server.url, {"a": 1})
        assert len(server.asked) == 1
    with site({"/": in_turn(Answer(status=503), Answer(b'{"b": 2}'))}) as server, egress() as client:
        assert client.post_json(server.url, {"a": 1}, idempotent=True).json() == {"b": 2}
        assert json.loads(server.asked[1].body) == {"a": 1}


def test_what_is_posted_follows_no_redirect():
    moved = Answer(status=307, headers={"Location": "/other"})
    with site({"/": in_turn(moved)}) as server, egress() as client:
        with pytest.raises(InputError, match="redirects what is posted"):
            client.post_json(server.url, {"a": 1})
        assert len(server.asked) == 1


def test_requests_are_spaced(time):
    bucket = TokenBucket(2.0, time.clock, time.sleep)
    for _ in range(4):
        bucket.take()
    time.now += 10
    bucket.take()
    assert time.slept == [0.5, 0.5, 0.5]


def test_redirects_and_attempts_count_as_requests(time):
    with (
        site({"/": in_turn(Answer(status=302, headers={"Location": "/x"})), "/x": as_json(1)}) as server,
        Egress(Limits(requests_per_second=4), clock=time.clock, sleep=time.sleep) as client,
    ):
        client.get_json(server.url)
    assert time.slept == [0.25]


def test_a_huge_answer_is_cut_off():
    huge = Answer(raw=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 300_000)
    with (
        site({"/": in_turn(huge)}) as server,
        egress(max_bytes=100_000) as client,
        pytest.raises(InputError, match="100,000 bytes"),
    ):
        client.get(server.url)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_off(pack):
    bomb = Answer(pack(bytes(50_000_000)), headers={"Content-Encoding": "gzip"})
    with (
        site({"/": in_turn(bomb)}) as server,
        egress(max_bytes=1_000_000) as client,
        pytest.raises(InputError, match="1,000,000 bytes"),
    ):
        client.get(server.url)


def test_unpacking_never_makes_more_than_a_piece_at_once():
    packed = gzip.compress(bytes(20 * PIECE_BYTES))
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(packed))
    sizes = [len(piece) for piece in pieces(response, "x")]
    assert max(sizes) <= PIECE_BYTES
    assert sum(sizes) == 20 * PIECE_BYTES


def test_compressed_answers_are_unpacked_and_unknown_compressions_refused():
    packed = Answer(gzip.compress(b"[1, 2]"), headers={"Content-Encoding": "gzip"})
    strange = Answer(b"....", headers={"Content-Encoding": "br"})
    torn = Answer(gzip.compress(b"[1, 2, 3]")[:-4], headers={"Content-Encoding": "gzip"})
    damaged = Answer(b"no gzip", headers={"Content-Encoding": "gzip"})
    routes = {"/a": in_turn(packed), "/b": in_turn(strange), "/c": in_turn(torn, packed), "/d": in_turn(damaged)}
    with site(routes) as server, egress() as client:
        assert client.get_json(server.url + "/a").json() == [1, 2]
        with pytest.raises(InputError, match="`br`"):
            client.get(server.url + "/b")
        assert client.get_json(server.url + "/c").json() == [1, 2]
        with pytest.raises(InputError, match="damaged"):
            client.get(server.url + "/d")


@pytest.mark.parametrize(
    "broken",
    [
        Answer(b'{"a": [1, 2', status=200),  # whole by its length, but no JSON
        Answer(b'{"a": [1, 2]}', cut=5),  # the connection ends before the length is reached
        Answer(raw=b"HTTP/1.1 200 OK\r\nConnec"),
        Answer(raw=b"SSH-2.0-OpenSSH\r\n"),
        Answer(raw=b""),
    ],
    ids=["json", "body", "headers", "ssh", "nothing"],
)
def test_what_was_cut_short_is_asked_for_again(broken):
    with site({"/": in_turn(broken, Answer(b'{"a": [1, 2]}'))}) as server, egress() as client:
        assert client.get_json(server.url).json() == {"a": [1, 2]}
        assert len(server.asked) == 2


def test_json_that_never_gets_right_is_shown():
    with (
        site({"/": in_turn(Answer(b"<html>\x07login</html>"))}) as server,
        egress(retries=1) as client,
        pytest.raises(InputError, match=r"not JSON .*<html>\\x07login"),
    ):
        client.get_json(server.url)


def test_json_nested_without_end_is_an_input_error():
    with (
        site({"/": in_turn(Answer(b"[" * 200_000))}) as server,
        egress(retries=0) as client,
        pytest.raises(InputError, match="JSON"),
    ):
        client.get_json(server.url)


def test_a_silent_server_is_given_up():
    never = threading.Event()
    with site({"/": in_turn(Answer(wait=never))}) as server, egress(read_s=0.05, retries=1) as client:
        with pytest.raises(InputError, match="says nothing"):
            client.get(server.url)
        never.set()


def test_an_answer_that_drips_is_given_up_as_a_whole():
    """Every byte comes in time, the whole never does: in the headers, where nothing else counts."""
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not stop.wait(0.02):
                try:
                    peer.sendall(b"a")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        with egress(read_s=10, whole_s=0.3, retries=0) as client, pytest.raises(InputError, match=r"within 0\.3 s"):
            client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    finally:
        stop.set()
        thread.join(5)
        listener.close()


def test_a_server_that_is_not_there_is_an_input_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with egress(retries=1) as client, pytest.raises(InputError, match="no connection"):
        client.get(f"http://127.0.0.1:{port}/")


def test_an_answer_in_the_cache_is_not_asked_for_again(tmp_path):
    cache = HttpCache(tmp_path / "pages")
    with site({"/": as_json({"n": 1}, headers={"Link": "<x>"})}) as server, egress(secrets=["s3cret"]) as client:
        first = client.get_json(server.url, params={"page": 1, "q": "s3cret"}, cache=cache)
        again = client.get_json(server.url, params={"page": 1, "q": "s3cret"}, cache=cache)
        other = client.get_json(server.url, params={"page": 2, "q": "s3cret"}, cache=cache)
        assert (first.cached, again.cached, other.cached) == (False, True, False)
        assert (again.body, again.headers["link"], again.status) == (first.body, "<x>", 200)
        assert len(server.asked) == 2
    assert all(b"s3cret" not in file.read_bytes() for file in (tmp_path / "pages").iterdir())


def test_a_torn_or_foreign_file_in_the_cache_is_no_answer(tmp_path):
    cache = HttpCache(tmp_path)
    with site({"/": as_json([1, 2, 3])}) as server, egress() as client:
        client.get_json(server.url, cache=cache)
        (kept,) = tmp_path.iterdir()
        whole = kept.read_bytes()
        for torn in (whole[:-1], whole[:10], b"", b"\0" * len(whole), b"[]\n[1, 2, 3]"):
            kept.write_bytes(torn)
            reply = client.get_json(server.url, cache=cache)
            assert not reply.cached
            assert reply.json() == [1, 2, 3]
        assert client.get_json(server.url, cache=cache).cached


def test_only_good_answers_are_kept(tmp_path):
    with site({"/": in_turn(Answer(b"{", 200), Answer(b"no", 500), Answer(b"{}"))}) as server, egress() as client:
        client.get_json(server.url, cache=HttpCache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


BODY = bytes(range(256)) * 4096


def ranged(body, etag='"v1"', cuts=()):
    """A server of one file that knows ranges; each of the first answers is cut after so many bytes."""
    left = list(cuts)

    def route(asked):
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        cut = left.pop(0) if left else None
        wanted = asked.headers.get("range")
        if wanted and asked.headers.get("if-range") == etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return Answer(status=416, headers={**headers, "Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return Answer(body[start:], 206, headers, cut)
        return Answer(body, 200, headers, cut)

    return route


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def test_a_download_goes_on_where_the_connection_broke(tmp_path, time):
    with site({"/f": ranged(BODY, cuts=[300_000, 400_000])}) as server, egress(time, retries=1) as client:
        done = client.stream_to(tmp_path / "f", server.url + "/f", digest=digest(BODY), size=len(BODY))
        ranges = [asked.headers.get("range") for asked in server.asked]
    assert (tmp_path / "f").read_bytes() == BODY
    assert (done.digest, done.size) == (digest(BODY), len(BODY))
    assert ranges == [None, "bytes=300000-", "bytes=700000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_killed_download_goes_on_in_the_next_process(tmp_path):
    with site({"/f": ranged(BODY, cuts=[123_456])}) as server, egress(retries=0) as client:
        with pytest.raises(InputError, match="broke"):
            client.stream_to(tmp_path / "f", server.url + "/f")
        assert not (tmp_path / "f").exists()
        client.stream_to(tmp_path / "f", server.url + "/f")
        assert server.asked[1].headers["range"] == "bytes=123456-"
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_file_that_changed_on_the_server_begins_anew(tmp_path):
    changed = BODY[::-1]
    with site({"/f": ranged(BODY, cuts=[1000])}) as server, egress() as client:
        server.routes["/f"] = in_turn_routes(ranged(BODY, cuts=[1000]), ranged(changed, etag='"v2"'))
        client.stream_to(tmp_path / "f", server.url + "/f")
    assert (tmp_path / "f").read_bytes() == changed


def in_turn_routes(first, then):
    calls = []

    def route(asked):
        calls.append(asked)
        return first(asked) if len(calls) == 1 else then(asked)

    return route


def test_a_server_without_a_strong_name_for_the_file_gives_it_whole(tmp_path):
    with site({"/f": in_turn(Answer(BODY, headers={"ETag": 'W/"1"'}, cut=10), Answer(BODY))}) as server:
        with egress() as client:
            client.stream_to(tmp_path / "f", server.url + "/f")
        assert "range" not in server.asked[1].headers
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_download_that_was_whole_before_the_kill_is_recognised(tmp_path):
    with site({"/f": ranged(BODY)}) as server, egress() as client:
        client.stream_to(tmp_path / "f", server.url + "/f")
        (tmp_path / "f").rename(tmp_path / "f.part")
        notes = {"url": server.url + "/f", "validator": '"v1"'}
        (tmp_path / "f.part.json").write_text(json.dumps(notes))
        client.stream_to(tmp_path / "f", server.url + "/f", digest=digest(BODY))
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize("named", [{"digest": digest(b"other")}, {"size": 3}])
def test_a_file_that_is_not_the_one_named_is_not_kept(tmp_path, named):
    with (
        site({"/f": in_turn(Answer(BODY))}) as server,
        egress() as client,
        pytest.raises(InputError, match="not the one named"),
    ):
        client.stream_to(tmp_path / "f", server.url + "/f", **named)
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_allowed_is_cut_off(tmp_path):
    with (
        site({"/f": in_turn(Answer(BODY))}) as server,
        egress(max_file_bytes=1000) as client,
        pytest.raises(InputError, match="1,000 bytes"),
    ):
        client.stream_to(tmp_path / "f", server.url + "/f")


def test_an_empty_file_is_a_file(tmp_path):
    with site({"/f": in_turn(Answer(b""))}) as server, egress() as client:
        assert client.stream_to(tmp_path / "f", server.url + "/f").size == 0
    assert (tmp_path / "f").read_bytes() == b""


def test_proxies_of_the_environment_count(monkeypatch):
    seen = []
    with site() as proxy, egress() as client:
        proxy.routes["/data"] = lambda asked: seen.append(asked.headers["host"]) or Answer(b'"by proxy"')
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.example")
        assert client.get_json("http://somewhere.example/data").json() == "by proxy"
        assert proxy_of(httpx.URL("http://direct.example/")) == ""
        assert proxy_of(httpx.URL("https://somewhere.example/")) == ""
        for host in ("169.254.169.254", "metadata.google.internal"):
            with pytest.raises(InputError, match="metadata"):
                client.get(f"http://{host}/")
    assert seen == ["somewhere.example"]


SECRET = 'a/b+c"é&d'
SPELLINGS = [
    SECRET,
    "a%2Fb%2Bc%22%C3%A9%26d",
    "a%2fb%2bc%22%c3%a9%26d",
    "a%252Fb%252Bc%2522%25C3%25A9%2526d",
    "a/b%2Bc%22%C3%A9%26d",
    r"a/b+c\"é&d",
    r"a\/b+c\"\u00e9&d",
    "a/b+c&quot;é&amp;d",
]


@pytest.mark.parametrize("form", SPELLINGS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_an_answer_that_is_not_json_is_quoted_without_the_secret_however_it_is_spelt(form, encoding, tmp_path):
    body = f"<you asked /?key={form}&x=1>".encode(encoding)
    cache = HttpCache(tmp_path)
    with site({"/": in_turn(Answer(body))}) as server, egress(retries=0, secrets=[SECRET]) as client:
        with pytest.raises(InputError) as caught:
            client.get_json(server.url)
        client.get(server.url, cache=cache)
        with pytest.raises(InputError) as from_cache:
            client.get(server.url, cache=cache).json()
    for error in (caught, from_cache):
        assert "/?key=***&x=1" in str(error.value)


def test_a_cut_shows_no_beginning_of_a_secret():
    assert excerpt(b"x" * 190 + b"hidden-thing-of-some-length", ["hidden-thing-of-some-length"]).endswith("x***")
