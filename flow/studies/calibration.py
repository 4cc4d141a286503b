"""The study ``calibration``: accuracy over the number of calibration images, for several draws of them."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from .evaluate import SOURCES, accuracies, base_case, calibration_pool, float_accuracy, lowered, trained
from .study import Case, Record, Study, markdown_table, name_of, percent

__all__ = ["COUNTS", "DRAWS", "STUDY", "enough"]

COUNTS = (1, 2, 5, 10, 20, 50, 100)
"""Calibration images, as far as there are so many."""

DRAWS = 5
"""Draws of so many, with seeds from 0."""

_METHODS = ("mse", "mse_plain")
_BITS = 4
_MEAN_LOSS, _WORST_LOSS = 0.005, 0.015  # of accuracy, below the mean with the most images
_EXACT = 1e-9  # what sums of shares may be off by


def _cases(config: str, images: int | None) -> list[Case]:
    base, most = base_case(config, images), len(calibration_pool(config))
    return [{"method": method, "w_bits": _BITS, "a_bits": _BITS, **base, "calibration_images": count, "draw": draw}
            for method in _METHODS for count in COUNTS if count <= most for draw in range(DRAWS)]


def _run(case: Case) -> dict[str, Any]:
    import torch

    pool = calibration_pool(case["config"])
    generator = torch.Generator().manual_seed(case["draw"])
    chosen = torch.randperm(len(pool), generator=generator)[:case["calibration_images"]].tolist()
    model = lowered(case["config"], {name: case[name] for name in ("method", "w_bits", "a_bits")}, chosen)
    where = case["config"], case["images"]
    return {"float": float_accuracy(*where), **accuracies(model, *where)}


def _groups(records: Sequence[Record], method: str) -> dict[int, list[Record]]:
    own = [record for record in records if record["method"] == method]
    return {count: [record for record in own if record["calibration_images"] == count]
            for count in sorted({record["calibration_images"] for record in own})}


def enough(groups: dict[int, Sequence[float]]) -> int:
    """Return the smallest number of calibration images that is enough.

    Enough is a number if for it, and for every larger one, the mean accuracy over the draws is at most half a point,
    and the worst draw at most one and a half, below the mean with the most images.

    Parameters
    ----------
    groups
        Accuracies of the draws, as shares of 1, by the number of images.
    """
    most = mean(groups[max(groups)])
    result = max(groups)
    for count in sorted(groups, reverse=True):
        if most - mean(groups[count]) > _MEAN_LOSS + _EXACT or most - min(groups[count]) > _WORST_LOSS + _EXACT:
            break
        result = count
    return result


def _draws(records: Sequence[Record]) -> set[int]:
    return {record["draw"] for record in records}


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def _methods(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["method"] for record in records))


def _table(records: Sequence[Record]) -> str:
    first = records[0]
    parts = [f"**{name_of(first['config'])}**, W{first['w_bits']}A{first['a_bits']}, {first['images']} test images, "
             f"float {percent(first['float'])} %. Integer accuracy in per cent over {len(_draws(records))} draws:\n"]
    rows, conclusions = [], []
    for method in _methods(records):
        groups = _groups(records, method)
        for count, own in groups.items():
            shares, ratios = [r["integer"] for r in own], [r["logit_snr_db"] for r in own]
            rows.append([
                method, str(count), percent(mean(shares)), f"{100 * _spread(shares):.2f}", percent(min(shares)),
                percent(max(shares)), f"{mean(ratios):.1f}", f"{_spread(ratios):.1f}"])
        number = enough({count: [r["integer"] for r in own] for count, own in groups.items()})
        conclusions.append(f"{number} for `{method}`")
    head = ["method", "images", "mean", "spread", "worst", "best", "dB, mean", "dB, spread"]
    parts.append(markdown_table(head, rows))
    parts.append(f"**Enough:** {', '.join(conclusions)}. That is the smallest number from which on the mean is at most "
                 f"{100 * _MEAN_LOSS:g} points, and the worst draw at most {100 * _WORST_LOSS:g}, below the mean with "
                 f"{max(record['calibration_images'] for record in records)} images. *Spread* is the standard "
                 "deviation of the draws.\n")
    return "\n".join(parts)


def _plot(figure, records):
    axes = figure.subplots(1, 2)
    for index, method in enumerate(_methods(records)):
        groups = _groups(records, method)
        for panel, key, unit in zip(axes, ("integer", "logit_snr_db"), (100, 1), strict=True):
            values = [[unit * record[key] for record in own] for own in groups.values()]
            panel.errorbar(list(groups), [mean(x) for x in values], [_spread(x) for x in values], marker="o", capsize=3,
                           color=f"C{index}", label=method)
    axes[0].axhline(100 * records[0]["float"], color="0.5", linewidth=1, linestyle=":")
    for panel, text in zip(axes, ("integer accuracy, %", "logits above their error, dB"), strict=True):
        panel.set(xscale="log", xlabel="calibration images", ylabel=text)
        panel.set_xticks(COUNTS, labels=[str(count) for count in COUNTS])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[1].legend()


STUDY = Study(
    name="calibration", title="How many calibration images are enough", configs=trained, default=("digits",),
    cases=_cases, run=_run, table=_table, plot=_plot, size=(9, 3.8),
    sources=SOURCES, measured=True)
