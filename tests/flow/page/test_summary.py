import pytest
from vitric.flow.page.summary import other_images, summary

from tests.flow.page.kit import found_in, texts


@pytest.fixture(scope="module")
def sim(tmp_path_factory):
    """What `vitric sim` would leave for three images, by golden."""
    found = found_in(tmp_path_factory.mktemp("tiny"))
    return {"images": 3, "seed": 1, "values_compared": 2238, "values_differ": 0, "mismatches": [],
            "accuracy": {"float": 1.0, "golden": 1.0, "rtl": 1.0}, "cycles_per_image": 2000.0, "mac_bound_cycles": 700,
            "array_busy": 0.4, "logits": found.golden[0][:3].tolist()}


def test_equal_hardware_is_said_to_be(sim, tmp_path):
    section = summary(found_in(tmp_path, sim=sim))
    assert texts(section)[0] == ("good", "All 2,238 values that the generated hardware wrote for 3 images are those of "
                                         "the integer model.")
    assert ("vitric bitstream --project tiny", "clock, area and images per second on the board") in texts(section)
    accuracy = next(part for part in section.parts if part.kind == "table" and part.title == "Accuracy")
    assert accuracy.rows == [("3 simulated images", "100.00%", "", "100.00%", "100.00%")]


def test_differing_values_are_told(sim, tmp_path):
    first = {"image": 1, "block": 0, "tensor": "attn.q", "index": [2, 3], "plane": 0, "expected": 5, "got": 6}
    section = summary(found_in(tmp_path, sim=sim | {"values_differ": 4, "mismatches": [first]}))
    assert texts(section)[0] == ("bad", "4 of 2,238 values of the generated hardware differ from the integer model.")
    assert section.parts[1].rows == [("1", "attn.q", "[2, 3]", "5", "6")]


@pytest.mark.parametrize(("image", "place", "value"), [(0, 0, 1), (2, 9, -1)])
def test_a_wrong_logit_in_the_file_is_found(sim, image, place, value, tmp_path):
    logits = [list(row) for row in sim["logits"]]
    logits[image][place] += value
    found = found_in(tmp_path, sim=sim | {"logits": logits})
    assert other_images(found) == [image]
    tone, text = texts(summary(found))[0]
    assert tone == "bad"
    assert text.startswith(f"The logits in sim.json are not those of this integer model: image {image}.")


def test_figures_of_another_model_are_found(sim, tmp_path):
    found = found_in(tmp_path, sim=sim | {"logits": [row[:5] for row in sim["logits"]]})
    assert other_images(found) == [0, 1, 2] and "and 2 more" in texts(summary(found))[0][1]


def test_an_empty_folder_says_what_to_run(tmp_path):
    assert [command for command, _ in texts(summary(found_in(tmp_path)))] == [
        "vitric sim --project tiny", "vitric quantize --project tiny", "vitric bitstream --project tiny"]


def test_accuracy_of_the_whole_split_is_shown(tmp_path):
    quantized = {"test_images": 360, "accuracy": {"float": 0.9, "simulated": 0.85, "integer": 0.8}}
    section = summary(found_in(tmp_path, quantize=quantized))
    accuracy = next(part for part in section.parts if part.kind == "table" and part.title == "Accuracy")
    assert accuracy.rows == [("360 test images", "90.00%", "85.00%", "80.00%", "")]
