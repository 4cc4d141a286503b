"""A machine that needs no simulator."""

from vitric.flow.demo.machines import Computed

__all__ = ["Golden"]


class Golden:
    """A machine that is the integer model, a bit off where it is told to be."""

    title = "golden"

    def __init__(self, model, off=0):
        self.model, self.off, self.seen = model, off, []

    def run(self, image):
        self.seen.append(image)
        logits = self.model(image[None])[0].tolist()
        return Computed(logits=[logits[0] + self.off, *logits[1:]], cycles=2000)

    def cycles(self):
        return 42
