"""The way out, against a real server: what is connected to, what is kept of an answer, and when it gives up."""

import asyncio

import pytest

from server.notify.addresses import Forbidden
from server.notify.egress import MAX_ANSWER, Egress, SystemResolver, Unreachable
from tests.unit.server.notify.receiver import certificates, hang, receiver, status


class Names:
    """A name server that answers in turn, and counts how often it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def loopback(**how) -> Egress:
    return Egress(Names(["127.0.0.1"]), allow_loopback=True, **how)


async def test_a_request_arrives_whole_and_its_answer_comes_back():
    async with receiver(status(204, "Retry-After: 7")) as there:
        reply = await loopback().post(there.url, {"Titan-Event-Id": "evt_1"}, b'{"a":1}')

    assert (reply.status, reply.accepted, reply.headers["retry-after"]) == (204, True, "7")
    (request,) = there.requests
    assert request.path == "/hook?a=1"
    assert request.body == b'{"a":1}'
    assert request.headers["host"] == f"127.0.0.1:{there.port}"
    assert request.headers["titan-event-id"] == "evt_1"


async def test_what_a_name_resolves_to_is_checked_and_connected_to_without_a_second_look():
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with receiver(status(200)) as there:
        egress = Egress(names, allow_loopback=True)

        reply = await egress.post(f"http://shop.example:{there.port}/", {}, b"")

        assert reply.status == 200
        assert names.asked == [("shop.example", there.port)]
        assert there.requests[0].headers["host"] == f"shop.example:{there.port}"
        with pytest.raises(Forbidden):
            await egress.post(f"http://shop.example:{there.port}/", {}, b"")
        assert len(there.requests) == 1


@pytest.mark.parametrize(
    "answer",
    (
        "127.0.0.1",
        "169.254.169.254",
        "10.1.2.3",
        "::1",
        "::ffff:127.0.0.1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "224.0.0.1",
    ),
)
async def test_a_name_that_leads_inside_is_refused(answer):
    egress = Egress(Names(["93.184.216.34", answer]))

    with pytest.raises(Forbidden):
        await egress.post("https://shop.example/", {}, b"")


async def test_a_redirect_is_an_answer_and_not_followed():
    async with receiver(status(200)) as inside, receiver(status(302, f"Location: {inside.url}")) as there:
        reply = await loopback().post(there.url, {}, b"")

        assert (reply.status, reply.accepted) == (302, False)
        assert not inside.requests


async def test_one_that_hangs_is_given_up():
    async with receiver(hang) as there:
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            await loopback(deadline_seconds=0.2).post(there.url, {}, b"")


async def test_a_resolver_that_hangs_is_given_up():
    async def silent(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Unreachable):
        await Egress(silent, deadline_seconds=0.1).post("https://shop.example/", {}, b"")


async def test_ten_megabytes_are_not_read():
    written = 0

    async def flood(writer, _request):
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(160):
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with receiver(flood) as there:
        reply = await loopback().post(there.url, {}, b"")

        assert reply.status == 200
        assert written < 160 * 65536


@pytest.mark.parametrize(
    "answer",
    (
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nHalf: a header",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * (MAX_ANSWER + 1) + b"\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10,
    ),
)
async def test_what_is_no_answer_counts_as_none(answer):
    async def odd(writer, _request):
        writer.write(answer)

    async with receiver(odd) as there:
        with pytest.raises(Unreachable):
            await loopback().post(there.url, {}, b"")


async def test_an_interim_answer_is_passed_over():
    async def hints(writer, _request):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 410 Gone\r\n\r\n")

    async with receiver(hints) as there:
        assert (await loopback().post(there.url, {}, b"")).status == 410


async def test_a_refused_connection_is_said():
    async with receiver(status(200)) as there:
        url = there.url
    with pytest.raises(Unreachable, match="refused"):
        await loopback().post(url, {}, b"")


async def test_tls_checks_the_name_that_was_asked_for_at_the_address_that_was_resolved(tmp_path):
    served, trusting = certificates(tmp_path, "shop.example")
    async with receiver(status(200), tls=served) as there:
        url = f"https://shop.example:{there.port}/"
        assert (await loopback(tls=trusting).post(url, {}, b"")).status == 200
        assert there.requests[0].headers["host"] == f"shop.example:{there.port}"

        with pytest.raises(Unreachable, match="TLS"):
            await loopback(tls=trusting).post(url.replace("shop.", "other."), {}, b"")
        with pytest.raises(Unreachable, match="TLS"):
            await loopback().post(url, {}, b"")


async def test_headers_cannot_be_smuggled():
    async with receiver(status(200)) as there:
        with pytest.raises(Unreachable):
            await loopback().post(there.url, {"A": "b\r\nC: d"}, b"")
        assert not there.requests


async def test_the_system_resolver_knows_this_machine():
    resolver = SystemResolver()
    try:
        assert set(await resolver("localhost", 80)) <= {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match=r"."):
            await resolver("no-such-name.invalid", 80)
    finally:
        resolver.close()
