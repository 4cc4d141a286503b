"""What the bars say on standard error when it is no terminal: their last state."""

from vitric.flow.reports.progress import PartBars, TrainingBar


def test_training(capsys):
    with TrainingBar("train tiny") as bar:
        for step in range(6):
            bar.step(step, 6)
            if step % 3 == 2:
                bar.epoch(step // 3 + 1, 0.5 - step / 20, 0.8 + step / 100)
    shown, error = capsys.readouterr()
    assert shown == "" and "train tiny" in error and "6/6 steps" in error
    assert "epoch 2: loss 0.250, training accuracy 85.0%" in error


def test_parts(capsys):
    with PartBars() as bars:
        bars.show("weights", 1, 4)
        bars.show("accuracy", 2, 2)
        bars.show("weights", 4, 4)
        counts = {task.description: (task.completed, task.total) for task in bars._bars.tasks}
    assert counts == {"weights": (4, 4), "accuracy": (2, 2)}
    assert capsys.readouterr().out == ""
