import pytest
from vitric.flow.page import time as section
from vitric.flow.page.time import time

from tests.flow.page.kit import found_in, texts

ACTIVITY = {"engines": ["front end", "feeder", "writeback"], "stretches": [
    [0, 1, 0, 10, 10], [1, 3, 20, 40, 15], [0, 4, 21, 50, 29], [2, 3, 22, 47, 5], [1, 5, 60, 70, 10]]}
SIM = {"images": 1, "seed": 1, "cycles_per_image": 100.0, "mac_bound_cycles": 50, "array_utilization": 0.5,
       "macs_per_cycle": 16, "model_words_per_image": 60, "model_bits": 32,
       "encoder": {"model_bytes_per_cycle_mean": 1.0, "model_bytes_per_cycle_peak": 2.0},
       "breakdown": [{"kind": "norm1", "commands": 1, "cycles": 30.0, "beats": 4.0, "model_words": 6.0}]}


def test_waits_are_told_with_who_worked_last(tmp_path):
    found = found_in(tmp_path, sim=SIM, activity=ACTIVITY)
    table = next(part for part in time(found).parts if part.kind == "table")
    # before command 3 (patch_embed) for the front end, before command 5 (attn.q) for the front end, which ended last
    assert {row[:3] for row in table.rows} == {
        ("patch_embed", "front end", "20"), ("attn.q", "front end", "20"),
        ("all", "pauses shorter than 16 cycles, and for the drain", "5")}
    assert [row[3] for row in table.rows] == ["20.0%", "20.0%", "5.0%"]


def test_engines_are_drawn_as_they_worked(tmp_path):
    found = found_in(tmp_path, sim=SIM, activity=ACTIVITY)
    plot = next(part for part in time(found).parts if part.kind == "plot")
    data = plot.model.renderers[0].data_source.data
    real = [row for row in zip(data["engine"], data["left"], data["right"], data["tensor"], data["active"], strict=True)
            if row[0] != "feeder, predicted"]
    assert real == [("front end", 0, 10, "1: input", "100%"), ("front end", 21, 50, "4: blocks.0.norm1", "100%"),
                    ("feeder", 20, 40, "3: patch_embed", "75%"), ("feeder", 60, 70, "5: blocks.0.attn.q", "100%"),
                    ("writeback", 22, 47, "3: patch_embed", "20%")]
    predicted = [row for row in data["engine"] if row == "feeder, predicted"]
    assert len(predicted) == sum(command.beats > 0 for command in found.prediction.commands)


@pytest.mark.parametrize("many", [1, 2, 3, 100])
def test_near_stretches_become_one_where_there_are_too_many(many, monkeypatch):
    monkeypatch.setattr(section, "_MANY", many)
    rows = [[0, 7, begin, begin + 2, 1] for begin in (0, 4, 20, 24)]  # gaps 2, 16, 2
    joined = section._joined({"engines": ["feeder"], "stretches": rows})
    assert sum(row[4] for row in joined) == 4 and (joined[0][2], joined[-1][3]) == (0, 26)
    assert len(joined) == {1: 1, 2: 2, 3: 2, 100: 4}[many]


def test_without_a_simulation_it_says_what_to_run(tmp_path):
    assert texts(time(found_in(tmp_path))) == [("vitric sim --project tiny", "what each engine does in an image")]
