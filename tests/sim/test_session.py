import pytest
import torch
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.vit import VIT_CONFIGS
from vitric.sim.session import Session

from tests.processes import one_at_a_time
from tests.sim.test_accelerator import FOLDER, SPEC, images_for, simulate

CONFIG = VIT_CONFIGS["tiny"]


def test_images_one_at_a_time():
    """Each image gives what it gives in one simulation of all: logits, every value, engines; then the process ends."""
    model = random_integer_vit(CONFIG, seed=1, spec=SPEC)
    compiled, images, trace = compile_model(model, SPEC), images_for(CONFIG, 3), {}
    together = simulate(compiled, images)
    logits = model(images, trace)
    with one_at_a_time(FOLDER), Session(compiled, FOLDER) as session:
        for number, image in enumerate(images):
            run = session.run(image)
            assert run.logits.tolist() == [logits[number].tolist()] and run.images_taken.tolist() == [number + 1]
            result = compiled.compare(trace, number, **run.records(0))
            assert result.ok and result.compared == 746
            of = together.activity[:, 0] == number
            assert len(run.activity) == of.sum() and (run.activity[:, 1:3] == together.activity[of][:, 1:3]).all()
            assert set(run.events[:, 0]) == {0}
        with pytest.raises(ValueError, match="images must"):
            session.run(torch.zeros(2, 8, 8, dtype=torch.uint8))
        assert session.run(images[1]).logits.tolist() == [logits[1].tolist()]
    assert not session._thread.is_alive() and not (FOLDER / "pixels.fifo").exists()


def test_a_simulation_that_cannot_be_built_says_so(tmp_path, monkeypatch):
    from vitric.sim import session as sessions

    def fail(*arguments, **options):
        raise RuntimeError("no Verilator")

    monkeypatch.setattr(sessions, "run_harness", fail)
    compiled = compile_model(random_integer_vit(CONFIG, seed=1, spec=SPEC), SPEC)
    with Session(compiled, tmp_path) as session, pytest.raises(RuntimeError, match="no Verilator"):
        session.run(images_for(CONFIG, 1)[0])
