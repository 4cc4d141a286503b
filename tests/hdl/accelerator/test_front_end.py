# amaranth: UnusedElaboratable=no
import random

import pytest
from amaranth.hdl import Value
from vitric.compiler.stream import StreamWriter
from vitric.golden.spec.command import ErrorCode, Flag, Opcode, Target, pack_pass
from vitric.hdl.accelerator.front_end import FrontEnd
from vitric.hdl.accelerator.layouts import PRODUCT_COMMAND, ROW_COMMAND, affine_group
from vitric.hdl.accelerator.progress import outstanding

from tests.hdl.accelerator.kit import SPECS, matrix, part
from tests.hdl.accelerator.test_act_loader import expected_of as loaded
from tests.hdl.accelerator.test_act_loader import random_set
from tests.hdl.stream_kit import plain, run, send, stall_pattern


def random_bytes(rng, words, spec):
    return rng.randbytes(words * spec.model_bits // 8)


def operand_words(bits, spec):
    return -(-bits // spec.model_bits)


def passes(planes):
    """The fields of passes over that many planes of weights."""
    words = [pack_pass(a_plane=0, w_plane=plane, shift=0, last=plane == 0) for plane in reversed(range(planes))]
    return {"passes01": words[0] | (words[1] << 8 if planes == 2 else 0)}


TABLE_FLAGS = {"table": Flag.TABLE | Flag.NEW_TABLE, "reuse": Flag.TABLE, "probabilities": Flag.TABLE}


def add_command(writer, rng, spec, kind, index):
    """Append a command with random operands."""
    weight = operand_words(spec.weight_word_bits, spec)
    wait = {"a_wait": rng.randrange(index), "w_wait": rng.randrange(index)}

    def channels(count):
        return random_bytes(rng, operand_words(64 * count, spec), spec)

    if kind == "load":
        groups, tiles = rng.randint(1, 2), rng.randint(1, 2)
        words = groups * tiles * spec.cols * operand_words(spec.residual_word_bits, spec)
        writer.command({"opcode": Opcode.LOAD, "groups": groups, "columns": tiles * spec.cols, "row_tiles": tiles,
                        "dst_base": rng.randrange(9) * spec.cols, **wait}, random_bytes(rng, words, spec))
    elif kind == "input":
        writer.command({"opcode": Opcode.INPUT, "groups": 2, "columns": 3, "row_tiles": 2, **wait})
    elif kind == "norm":
        columns = rng.randint(1, spec.max_embed)
        writer.command({"opcode": Opcode.NORM, "groups": 1, "columns": columns, "row_tiles": -(-columns // spec.cols),
                        "norm": rng.randrange(1 << 16), **wait}, channels(columns))
    elif kind in ("keys", "values"):
        loaded_set = random_set(rng, kind == "keys")
        fields = {**loaded_set, **passes(loaded_set["tile_words"] // loaded_set["k_words"]),
                  "opcode": Opcode.MATMUL | (Target.SOFTMAX if kind == "keys" else Target.CODES) << 8, "groups": 1,
                  "sets": 1 if kind == "keys" else 2, "row_tiles": 1, "columns": spec.cols,
                  "w_base": rng.randrange(8), "w_set_stride": rng.randrange(8), **wait}
        writer.command(fields, channels(0 if kind == "keys" else 2 * fields["set_tiles"] * spec.cols))
    else:
        sets, tiles, planes, k_words = rng.randint(1, 3), rng.randint(1, 2), rng.randint(1, 2), rng.randint(1, 2)
        scores = kind == "probabilities"
        fields = {"opcode": Opcode.MATMUL | (Target.SOFTMAX if scores else Target.CODES) << 8,
                  "flags": TABLE_FLAGS.get(kind, 0), "sets": 1 if scores else sets, "set_tiles": tiles,
                  "k_words": k_words, "tile_words": planes * k_words, "set_words": tiles * planes * k_words,
                  "groups": 1, "columns": tiles * spec.cols, "row_tiles": tiles, "offset": rng.randrange(-99, 99),
                  **passes(planes), **wait}
        operands = random_bytes(rng, 256 * 8 // spec.model_bits, spec) if kind == "table" else b""
        for _ in range(fields["sets"]):
            operands += channels(tiles * spec.cols) + random_bytes(rng, fields["set_words"] * weight, spec)
        writer.command(fields, operands)


KINDS = ("load", "input", "norm", "norm", "product", "table", "reuse", "probabilities", "keys", "values")


def random_stream(rng, spec, kinds=None):
    writer = StreamWriter(spec)
    for index, kind in enumerate(kinds or ["table", *rng.sample(KINDS, len(KINDS))], 1):
        add_command(writer, rng, spec, kind, index)
    return writer.finish()


def expected_of(stream, contents):
    """Everything that leaves the front end, as the software decoder reads the stream."""
    spec = stream.spec
    out = {key: [] for key in (*STREAMS, *WRITES)}
    for item in stream.commands()[:-1]:
        f = item.fields
        if item.opcode is Opcode.MATMUL:
            out["o_product"].append(part(PRODUCT_COMMAND, f))
        if item.opcode is not Opcode.MATMUL or item.target is Target.SOFTMAX:
            out["o_row"].append(part(ROW_COMMAND, f))
        if item.opcode is Opcode.LOAD:
            columns = item.residual.reshape(-1, spec.drain_cols, spec.rows).tolist()
            out["residual"] += [(f["dst_base"] + spec.drain_cols * at, beat) for at, beat in enumerate(columns)]
        if item.opcode is Opcode.NORM:
            out["affine"] += [(at, *pair) for at, pair in enumerate(
                zip(item.beta.tolist(), item.gamma.tolist(), strict=True))]
        if item.table is not None:
            out["table"] += item.table.tolist()
        if item.opcode is Opcode.MATMUL:
            for number in range(f["sets"]):
                more, biases = loaded(f, f["w_base"] + number * f["w_set_stride"], spec, contents) \
                    if Flag.WEIGHTS_ACT in item.flags else (item.weights[number].reshape(-1, spec.cols, spec.depth)
                                                            .tolist(), [])
                out["weights"] += more
                out["channels"] += [channel(c) for c in biases] if item.bias is None else [
                    (int(bias), int(multiplier), int(shift)) for bias, multiplier, shift in
                    zip(item.bias[number], item.multiplier[number], item.shift[number], strict=True)]
    return out


def channel(word):
    return word["bias"], word["multiplier"], word["shift"]


STREAMS = ("o_product", "o_row", "weights", "channels", "table")
WRITES = ("residual", "affine")


def beats(words):
    return [{"data": word, "last": int(at == len(words) - 1)} for at, word in enumerate(words)]


class Bench:
    """The front end with sinks, an activation memory that others read too, and engines that are done at random."""

    def __init__(self, spec, seed, stall):
        rng = random.Random(seed)
        self.spec, self.dut, self.rng, self.stall = spec, FrontEnd(spec), rng, stall
        self.contents = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
        self.received = {key: [] for key in (*STREAMS, *WRITES)}
        self.done, self.hold, self.events = 0, False, []

    def dispatched(self):
        """Commands that the engines have."""
        rows = {f["index"] for f in self.received["o_row"] if f["opcode"] >> 8 != Target.SOFTMAX}
        return rows | {f["index"] for f in self.received["o_product"]}

    def written(self, key, address, value):
        """Take a write apart: what the stream states, without the bits that nobody looks at."""
        if key == "residual":
            return [(address, value)]
        length = affine_group(self.spec).length
        return [(address * length + at, pair["beta"], pair["gamma"]) for at, pair in enumerate(value)]

    async def surroundings(self, ctx):
        """All ports but the model stream, in one testbench; ``events`` notes what comes at which ``done``."""
        dut, rng, raw = self.dut, self.rng, Value.cast(self.dut.read.data)
        active = {key: stall_pattern(self.stall, at) for at, key in enumerate(STREAMS)}
        ports = [(port.valid, port.ready, port.payload) for port in (getattr(dut, key) for key in STREAMS)]
        ports += [(port.en, port.address, port.data) for port in (getattr(dut, key) for key in WRITES)]
        shapes = [value.shape() for *_, value in ports]
        ports = [Value.cast(signal) for port in ports for signal in port]
        wanted = [0, 0]
        while True:
            for key, pattern in active.items():
                ctx.set(getattr(dut, key).ready, next(pattern))
            if not self.hold and self.done + 1 in self.dispatched() and rng.random() < 0.1:
                self.done += 1
            ctx.set(dut.done, self.done)
            _, _, want, en, address, *values = await ctx.tick().sample(
                dut.want, dut.read.en, dut.read.address, *ports)
            assert en == wanted.pop(0)
            wanted.append(want)
            if en:
                ctx.set(dut.read.data, self.contents[address])
            else:
                ctx.set(raw, rng.getrandbits(len(raw)))
            for at, key in enumerate((*STREAMS, *WRITES)):
                first, second, third = values[3 * at:3 * at + 3]
                if not first:
                    continue
                self.events.append((key, self.done))
                if key in WRITES:
                    self.received[key] += self.written(key, second, plain(shapes[at].from_bits(third)))
                elif second:
                    self.received[key].append(plain(shapes[at].from_bits(third)) if key != "table" else third)

    def run(self, words, *, cycles):
        """Send a stream; returns what the status outputs are when it is finished, or ``cycles`` after it."""
        dut, found = self.dut, {}

        async def testbench(ctx):
            await send(ctx, dut.i, beats(words), stall=self.stall, seed=7)
            for _ in range(cycles):
                await ctx.tick()
                if ctx.get(dut.finished):
                    break
            found.update({key: ctx.get(getattr(dut, key)) for key in ("finished", "error_valid", "error", "index")})

        run(dut, testbench, background=[self.surroundings], limit=60_000)
        return found


@pytest.mark.parametrize("spec,stall", [
    *((spec, "random") for spec in SPECS), *((SPECS[at], stall) for at in (0, 4) for stall in ("always", "bursts")),
], ids=lambda value: getattr(value, "name", value))
def test_streams(spec, stall):
    bench = Bench(spec, f"{spec.name}/{stall}", stall)
    stream = random_stream(bench.rng, spec)
    expected = expected_of(stream, bench.contents)
    found = bench.run(stream.words, cycles=2000)
    assert found == {"finished": 1, "error_valid": 0, "error": 0, "index": len(stream.commands())}
    received = bench.received
    received["channels"] = [channel(word) for group in received["channels"] for word in group]
    # Zeros, up to a whole model word, are written and never read.
    rows = [f["columns"] for f in received["o_row"] if f["opcode"] == Opcode.NORM]
    constants, received["affine"] = iter(received["affine"]), []
    together = affine_group(spec).length
    for columns in rows:
        received["affine"] += [next(constants) for _ in range(-(-columns // together) * together)][:columns]
    assert not list(constants)
    for key, values in expected.items():
        assert received[key] == values, key


@pytest.mark.parametrize("kind,waits,key,first", [
    ("load", {"a_wait": 3}, "residual", 3), ("keys", {"w_wait": 3}, "weights", 3),
    ("values", {"w_wait": 3}, "weights", 3), ("table", {}, "table", 2), ("probabilities", {}, "channels", 2),
    ("norm", {}, "affine", 3), ("product", {}, "weights", 0),
])
def test_waits(kind, waits, key, first):
    """LOAD, keys and values for what they read, affine constants for the NORM before, a table for its last user.

    ``first``: the commands that must be done when the fourth command's operands come.
    """
    spec, rng = SPECS[0], random.Random(3)
    writer = StreamWriter(spec)
    for index, each in enumerate(("table", "reuse", "norm", kind), 1):
        add_command(writer, rng, spec, each, index)
    commands = writer.finish().commands()[:-1]
    data = writer.finish().data
    writer, size = StreamWriter(spec), spec.model_bits // 8
    for item in commands:
        item.fields.update({"a_wait": 0, "w_wait": 0, **(waits if item is commands[3] else {})})
        begin = item.position + operand_words(16 * len(item.fields), spec) + 1
        writer.command({name: value for name, value in item.fields.items() if name != "index"},
                       data[begin * size:(item.position + item.words) * size])
    bench = Bench(spec, 4, "always")
    bench.hold, seen = True, []
    dut, words = bench.dut, writer.finish().words

    async def watch(ctx):
        """``done`` moves on only when nothing has happened for long; then the first effect is noted."""
        await send(ctx, dut.i, beats(words))
        while not ctx.get(dut.finished):
            await ctx.tick()

    async def patience(ctx):
        quiet, events = 0, 0
        while True:
            _, _, index, moved = await ctx.tick().sample(dut.index, dut.i.valid & dut.i.ready)
            if index >= 4:
                seen.extend(done for name, done in bench.events[events:] if name == key)
            quiet = 0 if moved or len(bench.events) > events else quiet + 1
            events = len(bench.events)
            if quiet > 60 and bench.done < 4:
                bench.done, quiet = bench.done + 1, 0

    run(dut, watch, background=[bench.surroundings, patience])
    assert seen and min(seen) == first


def test_no_more_commands_than_may_be_outstanding():
    spec = SPECS[0]
    most, bench = outstanding(spec), Bench(spec, 6, "always")
    bench.hold = True
    words = random_stream(bench.rng, spec, ["input"] * (most + 8)).words

    async def watch(ctx):
        for done in range(4):
            bench.done = done
            await ctx.tick().repeat(100 if done else 40 * most)
            assert bench.dispatched() == set(range(1, most + done + 1))

    async def sender(ctx):
        await send(ctx, bench.dut.i, beats(words))

    run(bench.dut, watch, background=[bench.surroundings, sender])


def test_error_holds_until_reset():
    spec = SPECS[0]
    bench = Bench(spec, 5, "always")
    words = random_stream(bench.rng, spec, ["input"]).words
    words[0] ^= 1
    dut = bench.dut

    async def testbench(ctx):
        await send(ctx, dut.i, [{"data": word, "last": 0} for word in words[:5]])
        ctx.set(dut.i.valid, 1)
        for _ in range(20):
            await ctx.tick()
            assert ctx.get(dut.error_valid) and ctx.get(dut.error) == ErrorCode.BAD_MAGIC
            assert not ctx.get(dut.i.ready) and not ctx.get(dut.finished)

    run(dut, testbench)
