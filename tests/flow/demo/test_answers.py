import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.flow.demo.answers import Answers
from vitric.flow.demo.machines import Computed, simulated_machine
from vitric.flow.project.images import test_images as images_of
from vitric.flow.project.integer import integer_model
from vitric.flow.project.project import open_project

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER


@pytest.fixture(scope="module")
def answers():
    project = open_project("tiny")
    model = integer_model(project)
    return Answers(project=project, model=model, compiled=compile_model(model, project.spec), clock_mhz=50.0)


def test_answers_of_the_simulated_hardware(answers, monkeypatch):
    """In the build of the accelerator's tests: every value is compared, and the engines are told."""
    from vitric.sim import session

    genuine = session.Session
    monkeypatch.setattr(session, "Session", lambda compiled, folder: genuine(compiled, FOLDER))
    images = images_of(answers.project, 2, seed=1).images
    with one_at_a_time(FOLDER), simulated_machine(answers.project, answers.compiled) as machine:
        first, second = (answers.answer(machine, image.to(torch.uint8), []) for image in images)
    for found, image in zip((first, second), images, strict=True):
        assert found["equal"] and (found["compared"], found["differ"]) == (746, 0)
        assert found["best"][0]["class"] == int(answers.model(image[None]).argmax())
        assert found["cycles"] == pytest.approx(answers.cycles, rel=0.02)
        stretches = found["engines"]["stretches"]
        assert min(begin for _, _, begin, _ in stretches) == 0
        assert max(end for *_, end in stretches) <= found["cycles"]
        assert {"attn.softmax", "mlp.act", "head"} <= {kind for _, kind, _, _ in stretches}
        assert {engine for engine, *_ in stretches} == set(range(len(found["engines"]["names"])))
    assert first["cycles"] == second["cycles"]


def test_a_wrong_value_on_the_way_is_told(answers):
    """Right logits do not hide it."""
    image = images_of(answers.project, 1, seed=1).images[0].to(torch.uint8)
    logits = answers.model(image[None])[0].tolist()

    class Off:
        title = "off"

        def run(self, image):
            from tests.compiler.machine import Machine

            tap = Machine(answers.compiled.spec, seed=1).run(
                answers.compiled.stream.commands(), answers.compiled.input_words(image[None])[0])
            tap["act"]["data"][7, 0] ^= 1
            return Computed(logits=logits, cycles=9, records=tap)

    found = answers.answer(Off(), image, ["a note"])
    assert found["differ"] >= 1 and found["equal"] is False and found["notes"] == ["a note"]
