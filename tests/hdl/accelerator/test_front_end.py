# amaranth: UnusedElaboratable=no
import random

import pytest
from vitric.compiler.stream import StreamWriter
from vitric.golden.spec.command import ErrorCode, Flag, Opcode, Target, pack_pass
from vitric.hdl.accelerator.front_end import FrontEnd

from tests.hdl.accelerator.kit import SPECS, matrix, name
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


TABLE_FLAGS = {"table": Flag.TABLE | Flag.NEW_TABLE, "reuse": Flag.TABLE}


def add_command(writer, rng, spec, kind, index):
    """Append a command with random operands."""
    channel, weight = operand_words(64, spec), operand_words(spec.weight_word_bits, spec)
    wait = {"a_wait": rng.randrange(index), "w_wait": rng.randrange(index)}
    if kind == "load":
        groups, columns = rng.randint(1, 2), rng.randint(1, 5)
        words = groups * columns * operand_words(spec.residual_word_bits, spec)
        writer.command({"opcode": Opcode.LOAD, "groups": groups, "columns": columns, "dst_base": rng.randrange(9),
                        **wait}, random_bytes(rng, words, spec))
    elif kind == "input":
        writer.command({"opcode": Opcode.INPUT, "groups": 2, "columns": 3, "row_tiles": 2, **wait})
    elif kind == "norm":
        columns = rng.randint(1, spec.max_embed)
        writer.command({"opcode": Opcode.NORM, "groups": 1, "columns": columns, "row_tiles": -(-columns // spec.cols),
                        **wait},
                       random_bytes(rng, columns * channel, spec))
    elif kind in ("keys", "values"):
        loaded_set = random_set(rng, kind == "keys")
        fields = {**loaded_set, **passes(loaded_set["tile_words"] // loaded_set["k_words"]),
                  "opcode": Opcode.MATMUL | Target.SOFTMAX << 8, "sets": rng.randint(1, 2), "groups": 1,
                  "columns": 1, "row_tiles": 1, "w_base": rng.randrange(8), "w_set_stride": rng.randrange(8), **wait}
        channels = 0 if kind == "keys" else fields["sets"] * fields["set_tiles"] * spec.cols * channel
        writer.command(fields, random_bytes(rng, channels, spec))
    else:
        sets, tiles, planes, k_words = rng.randint(1, 3), rng.randint(1, 2), rng.randint(1, 2), rng.randint(1, 2)
        fields = {"opcode": Opcode.MATMUL | Target.CODES << 8, "flags": TABLE_FLAGS.get(kind, 0),
                  "sets": sets, "set_tiles": tiles, "k_words": k_words, "tile_words": planes * k_words,
                  "set_words": tiles * planes * k_words, "groups": 1, "columns": tiles * spec.cols,
                  "row_tiles": tiles, **passes(planes), **wait}
        words = sets * (tiles * spec.cols * channel + fields["set_words"] * weight)
        words += 256 * 8 // spec.model_bits if kind == "table" else 0
        writer.command(fields, random_bytes(rng, words, spec))


KINDS = ("load", "input", "norm", "product", "table", "reuse", "keys", "values")


def random_stream(rng, spec, kinds=None):
    writer = StreamWriter(spec)
    for index, kind in enumerate(kinds or ["table", *rng.sample(KINDS, len(KINDS))], 1):
        add_command(writer, rng, spec, kind, index)
    return writer.finish()


def expected_of(stream, contents):
    """Everything that leaves the front end, as the software decoder reads the stream."""
    spec = stream.spec
    commands, weights, channels, table, residual = [], [], [], [], []
    for item in stream.commands():
        f = item.fields
        if item.opcode is Opcode.LOAD:
            residual += [(f["dst_base"] + g * f["columns"] + c, item.residual[g, c].tolist())
                         for g in range(f["groups"]) for c in range(f["columns"])]
        if item.opcode is Opcode.NORM:  # the affine pair in the bits of a channel word
            channels += [(int(beta) & 0xFFFFFFFF, int(gamma) & 0xFFFF, None)
                         for beta, gamma in zip(item.beta, item.gamma, strict=True)]
        if item.table is not None:
            table += item.table.tolist()
        if item.opcode is Opcode.MATMUL:
            for number in range(f["sets"]):
                more, biases = loaded(f, f["w_base"] + number * f["w_set_stride"], spec, contents) \
                    if Flag.WEIGHTS_ACT in item.flags else (item.weights[number].reshape(-1, spec.cols, spec.depth)
                                                            .tolist(), [])
                weights += more
                if item.bias is None:
                    channels += [(c["bias"] & 0xFFFFFFFF, c["multiplier"], c["shift"]) for c in biases]
                else:
                    channels += [(int(bias) & 0xFFFFFFFF, int(multiplier), int(shift)) for bias, multiplier, shift in
                                 zip(item.bias[number], item.multiplier[number], item.shift[number], strict=True)]
        if item.opcode is not Opcode.END:
            commands.append(f)
    return {"command": commands, "weights": weights, "channels": channels, "table": table}, residual


class Bench:
    """The front end with sinks, a memory that grants at random, and engines that complete commands at random."""

    def __init__(self, spec, seed, stall):
        rng = random.Random(seed)
        self.spec, self.dut, self.rng, self.stall = spec, FrontEnd(spec), rng, stall
        self.contents = [matrix(rng, spec.rows, spec.depth, spec.element_bits) for _ in range(spec.act_words)]
        self.received = {"command": [], "weights": [], "channels": [], "table": []}
        self.residual, self.done = [], 0

    async def surroundings(self, ctx):
        """All ports but the model stream, in one testbench."""
        dut, rng = self.dut, self.rng
        active = {key: stall_pattern(self.stall, at) for at, key in enumerate(self.received)}
        while True:
            for key, pattern in active.items():
                ctx.set(getattr(dut, key).ready, next(pattern))
            if self.done < len(self.received["command"]) and rng.random() < 0.05:
                self.done += 1
            ctx.set(dut.done, self.done)
            ctx.set(dut.read_free, rng.random() < 0.7)
            ports = [getattr(dut, key) for key in self.received]
            values = await ctx.tick().sample(
                dut.read.en, dut.read.address, dut.residual.en, dut.residual.address, dut.residual.data,
                *(signal for port in ports for signal in (port.valid, port.ready, port.payload)))
            grant, address, en, column, value, *streams = values[2:]
            ctx.set(dut.read.data, self.contents[address] if grant else
                    matrix(rng, self.spec.rows, self.spec.depth, self.spec.element_bits))
            if en:
                self.residual.append((column, plain(value)))
            for at, key in enumerate(self.received):
                valid, ready, payload = streams[3 * at:3 * at + 3]
                if valid and ready:
                    self.received[key].append(plain(payload))

    def run(self, words, last=None, *, cycles=40):
        """Send a stream; returns what the status outputs are ``cycles`` after it."""
        dut, found = self.dut, {}
        last = len(words) - 1 if last is None else last

        async def testbench(ctx):
            await send(ctx, dut.i, [{"data": word, "last": int(at == last)} for at, word in enumerate(words)],
                       stall=self.stall, seed=7)
            for _ in range(cycles):
                await ctx.tick()
                if self.done == len(self.received["command"]):
                    cycles_left.append(1)
                if len(cycles_left) > 10:
                    break
            found.update({key: ctx.get(getattr(dut, key)) for key in ("finished", "error_valid", "error", "index")})

        cycles_left: list[int] = []
        run(dut, testbench, background=[self.surroundings], limit=60_000)
        return found


@pytest.mark.parametrize("stall", ["always", "random", "bursts"])
@pytest.mark.parametrize("spec", SPECS, ids=name)
def test_streams(spec, stall):
    bench = Bench(spec, f"{spec.name}/{stall}", stall)
    stream = random_stream(bench.rng, spec)
    expected, residual = expected_of(stream, bench.contents)
    found = bench.run(stream.words, cycles=2000)
    assert found == {"finished": 1, "error_valid": 0, "error": 0, "index": len(stream.commands())}
    channels = [(c["bias"] & 0xFFFFFFFF, c["multiplier"], c["shift"]) for c in bench.received["channels"]]
    assert len(channels) == len(expected["channels"])
    for got, (bias, multiplier, shift) in zip(channels, expected["channels"], strict=True):
        assert got[:2] == (bias, multiplier) and shift in (None, got[2])
    for key in ("command", "weights", "table"):
        assert bench.received[key] == expected[key], key
    assert bench.residual == residual


@pytest.mark.parametrize("kind,waits,port", [
    ("load", {"a_wait": 2}, None), ("keys", {"w_wait": 2}, "weights"), ("values", {"w_wait": 2}, "weights"),
    ("table", {}, "table"),
])
def test_waits(kind, waits, port):
    """LOAD for residual memory, the loader for its operand, a new table for the last user of the old one."""
    spec, rng = SPECS[0], random.Random(3)
    writer = StreamWriter(spec)
    add_command(writer, rng, spec, "table", 1)
    add_command(writer, rng, spec, "reuse", 2)
    add_command(writer, rng, spec, kind, 3)
    stream = writer.finish()
    commands = stream.commands()[:-1]
    commands[2].fields.update({"a_wait": 0, "w_wait": 0, **waits})
    writer = StreamWriter(spec)
    for item in commands:
        begin, size = item.position, spec.model_bits // 8
        block = operand_words(16 * len(item.fields), spec) + 1
        values = {key: value for key, value in item.fields.items() if key != "index"}
        writer.command(values, stream.data[(begin + block) * size:(begin + item.words) * size])
    words = writer.finish().words
    needed = waits.get("a_wait", waits.get("w_wait", 2))
    bench = Bench(spec, 4, "always")
    dut, seen = bench.dut, []

    async def sender(ctx):
        await send(ctx, dut.i, [{"data": word, "last": int(at == len(words) - 1)} for at, word in enumerate(words)])

    async def watch(ctx):
        """``done`` moves on only when nothing has happened for long; then the first effect is noted."""
        for key in bench.received:
            ctx.set(getattr(dut, key).ready, 1)
        ctx.set(dut.read_free, 1)
        quiet = done = 0
        while not ctx.get(dut.finished):
            ctx.set(dut.done, done)
            event = dut.residual.en if port is None else getattr(dut, port).valid
            _, _, index, effect, moved = await ctx.tick().sample(dut.index, event, dut.i.ready)
            if effect and index == 3:
                seen.append(done)
            quiet = 0 if moved or effect else quiet + 1
            if quiet > 30 and done < 3:
                done, quiet = done + 1, 0

    run(dut, sender, watch)
    assert seen and min(seen) == needed


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
