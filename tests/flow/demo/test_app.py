import threading
import time

import pytest
from starlette.testclient import TestClient
from vitric.flow.demo import app
from vitric.flow.demo.app import application
from vitric.flow.demo.jobs import Jobs


class Echo:
    """Answers how many bytes a picture has; "bad" ones are none, "fails" ones fail."""

    def __init__(self):
        self.about, self.jobs, self.gate = {"project": "echo"}, Jobs(2), threading.Event()
        self.gate.set()
        threading.Thread(target=self.jobs.run, daemon=True).start()

    def state(self):
        return {"ready": True, "text": "machine"}

    def cycles(self):
        return 17

    def prepare(self, data, *, drawn):
        if data == b"bad":
            raise ValueError("that is no picture")

        def work():
            self.gate.wait(10)
            if data == b"fails":
                raise RuntimeError("the machine broke")
            return {"bytes": len(data), "drawn": drawn}
        return work


@pytest.fixture
def echo():
    service = Echo()
    yield service
    service.gate.set()
    service.jobs.close()


@pytest.fixture
def client(echo):
    return TestClient(application(echo))


def answer_of(client, number, **options):
    for _ in range(500):
        said = client.get(f"/job/{number}", **options)
        if said.status_code != 200 or "answer" in said.json():
            return said
        time.sleep(0.005)
    raise TimeoutError


def test_a_picture_becomes_an_answer(client):
    for path, drawn in (("/run", False), ("/run?drawn", True)):
        reply = client.post(path, content=b"12345")
        assert reply.status_code == 202
        assert answer_of(client, reply.json()["job"]).json() == {"answer": {"bytes": 5, "drawn": drawn}}
    assert client.get("/about").json() == {"project": "echo", "ready": True, "text": "machine"}


@pytest.mark.parametrize(("path", "kind", "piece"), [
    ("/", "text/html", "<canvas"), ("/demo.css", "text/css", ".buttons"), ("/demo.js", "javascript", "function send")])
def test_the_page_needs_nothing_from_elsewhere(client, path, kind, piece):
    reply = client.get(path)
    assert reply.status_code == 200 and kind in reply.headers["content-type"] and piece in reply.text
    assert "default-src 'self'" in reply.headers["content-security-policy"] and "http" not in reply.text.lower()


@pytest.mark.parametrize(("data", "status", "message"), [
    (b"bad", 400, "that is no picture"), (bytes(app.MAX_BYTES + 1), 413, "at most 16 MB")])
def test_what_is_no_picture_is_refused(client, data, status, message):
    reply = client.post("/run", content=data)
    assert reply.status_code == status and message in reply.json()["error"]


def test_a_failure_of_the_machine_is_told(client):
    reply = answer_of(client, client.post("/run", content=b"fails").json()["job"])
    assert reply.status_code == 500 and reply.json() == {"error": "the machine broke"}
    assert client.get("/job/999").status_code == 404 and client.get("/run").status_code == 405


def test_others_wait_and_see_their_place(client, echo):
    echo.gate.clear()
    first, second = (client.post("/run", content=b"x").json()["job"] for _ in range(2))
    for _ in range(500):
        said = client.get(f"/job/{first}").json()
        if said["running"]:
            break
    assert said == {"place": 0, "running": True, "cycles": 17}
    assert client.get(f"/job/{second}").json() == {"place": 1, "running": False, "cycles": 0}
    full = client.post("/run", content=b"x")
    assert full.status_code == 429 and "2 images wait already" in full.json()["error"]
    echo.gate.set()
    assert answer_of(client, second).json()["answer"]["bytes"] == 1


def test_rates_are_bounded(client):
    codes = [client.post("/run", content=b"bad").status_code for _ in range(25)]
    assert codes == [400] * 20 + [429] * 5


def test_a_token_guards_everything_but_the_page(echo):
    client = TestClient(application(echo, "secret"))
    assert client.get("/").status_code == 200
    for reply in (client.get("/about"), client.post("/run", content=b"x"), client.get("/job/1"),
                  client.get("/about?token=wrong"), client.get("/about", headers={"X-Token": "é".encode()})):
        assert reply.status_code == 403 and "token" in reply.json()["error"]
    assert client.get("/about?token=secret").status_code == 200
    assert client.post("/run", content=b"x", headers={"X-Token": "secret"}).status_code == 202
