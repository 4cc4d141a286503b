import io
import threading
import time
from contextlib import contextmanager

import pytest
import torch
from PIL import Image
from vitric.compiler.compile import compile_model
from vitric.flow.demo.answers import Answers
from vitric.flow.demo.service import ProjectService
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project

from tests.flow.demo.golden import Golden
from tests.flow.demo.test_drawing import SEVEN, drawing


@pytest.fixture(scope="module")
def answers():
    project = open_project("digits")
    model = integer_model(project)
    return Answers(project=project, model=model, compiled=compile_model(model, project.spec), clock_mhz=50.0)


def serve(answers, machine):
    @contextmanager
    def opened():
        yield machine

    return ProjectService(answers, opened())


def until_ready(service):
    for _ in range(1000):
        if service.state()["ready"] or service.state().get("failed"):
            return service.state()
        time.sleep(0.005)
    raise TimeoutError


def png(image):
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def test_a_drawn_seven_is_answered(answers):
    machine = Golden(answers.model)
    with serve(answers, machine) as service:
        assert until_ready(service) == {"ready": True, "text": "golden"} and service.cycles() == 42
        found = service.prepare(png(drawing(*SEVEN)), drawn=True)()
    assert found["best"][0]["label"] == found["golden"] == "7" and found["equal"] and found["compared"] is None
    assert found["best"][0]["probability"] > 0.5 and [one["class"] for one in found["best"]] != list(range(10))
    assert (found["cycles"], found["microseconds"], found["engines"]) == (2000, 40.0, None)
    assert all(found[name].startswith("data:image/png;base64,") for name in ("seen", "attention"))
    assert len(machine.seen) == 2 and not machine.seen[0].any()  # the first one is blank, to warm up
    assert service.about["hint"] and service.about["draws"] and service.about["predicted_cycles"] == answers.cycles


def test_a_machine_that_is_off_is_said_to_be(answers):
    with serve(answers, Golden(answers.model, off=1)) as service:
        until_ready(service)
        assert service.prepare(png(drawing(*SEVEN)), drawn=True)()["equal"] is False


def test_pictures_are_prepared_as_the_models_images(answers):
    machine = Golden(answers.model)
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    with serve(answers, machine) as service:
        until_ready(service)
        assert service.prepare(png(picture), drawn=False)()["notes"] == ["put on white where it is transparent"]
    assert torch.equal(machine.seen[1], torch.full((1, 8, 8), 255, dtype=torch.uint8))


@pytest.mark.parametrize(("data", "drawn", "message"), [
    (b"no picture", False, "the file cannot be read as an image"), (b"", False, "the file cannot be read as an image"),
    (b"no picture", True, "the drawing is no PNG file"), (png(Image.new("L", (9, 9))), True, "nothing is drawn"),
    (png(Image.new("L", (3000, 9))), True, "at most 2048 x 2048"), (png(drawing(*SEVEN))[:200], True, "no PNG file"),
    (png(drawing(*SEVEN))[:200], False, "cannot be read as an image"),
])
def test_what_cannot_be_read_is_told(answers, data, drawn, message):
    with pytest.raises(ValueError, match=message):
        serve(answers, Golden(answers.model)).prepare(data, drawn=drawn)


def test_nobody_waits_for_a_machine_that_is_not_there_yet(answers):
    gate = threading.Event()

    @contextmanager
    def slow():
        gate.wait(30)
        yield Golden(answers.model)

    begun = time.monotonic()
    with ProjectService(answers, slow()) as service:
        assert service.state()["ready"] is False and "being built" in service.state()["text"]
    assert time.monotonic() - begun < 10
    gate.set()


def test_a_machine_that_cannot_be_opened_is_told(answers):
    @contextmanager
    def broken():
        raise RuntimeError("there is no Verilator")
        yield

    with ProjectService(answers, broken()) as service:
        assert until_ready(service) == {"ready": False, "text": "there is no Verilator", "failed": True}
        with pytest.raises(Exception, match="there is no Verilator"):
            service.prepare(png(drawing(*SEVEN)), drawn=True)()
    assert service.cycles() == 0
