from vitric.flow.page.memory import memory

from tests.flow.page.kit import found_in


def test_tensors_lie_where_the_plan_has_them_and_never_on_each_other(tmp_path):
    found = found_in(tmp_path, "digits")
    activations, stream = memory(found).parts
    data = activations.model.renderers[0].data_source.data
    boxes = list(zip(*(data[name] for name in ("left", "right", "bottom", "top", "name", "words")), strict=True))
    assert len(boxes) == len(found.plan.buffers) and max(box[3] for box in boxes) == found.plan.act_words
    for number, (left, right, bottom, top, name, words) in enumerate(boxes):
        assert top - bottom == words and left < right
        for other in boxes[:number]:
            apart = right <= other[0] or other[1] <= left or top <= other[2] or other[3] <= bottom
            assert apart, (name, other[4])
    data = stream.model.renderers[0].data_source.data
    assert sum(data["bytes"]) == found.prediction.model_bytes and data["name"][0] == "input"
    assert f"{found.plan.act_words:,} of {found.project.spec.act_words:,} words" in activations.text
