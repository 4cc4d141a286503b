"""A machine that executes decoded commands in Python, one after the other: the contract without any hardware.

Memories start with junk, so that a stale value which matters shows up. What was written last at an address must be what
its reader waited for, row group by row group, so that a missing wait shows up too.
"""

import numpy as np
import torch
from vitric.compiler.compare import act_records, logit_records, residual_records
from vitric.compiler.words import pack_rows
from vitric.golden.arith import nearest_signed_code, requantize, split_signed, split_unsigned
from vitric.golden.integer.layernorm import layernorm
from vitric.golden.integer.softmax import softmax
from vitric.golden.spec.command import Flag, Opcode, Target


class Machine:
    def __init__(self, spec, seed=0):
        rng = np.random.default_rng(seed)
        self.spec = spec
        self.act = rng.integers(0, 1 << spec.element_bits, (spec.act_words * spec.word_tiles, spec.rows, spec.cols))
        self.residual = rng.integers(-(1 << 15), 1 << 15, (spec.residual_words, spec.rows))
        self.writers = {"act": {}, "residual": {}}  # by address: command and row group that wrote there last
        self.makes_rows = {}  # by command: whether the row engine writes its result; each engine keeps its order
        self.taps = {"act": [], "residual": []}
        self.logits = []

    def check_wait(self, memory, addresses, f, group=None):
        """Assert that ``addresses`` hold what command ``f`` waits for: all up to ``w_wait``, or a row group."""
        for address in np.ravel(addresses):
            number, written = self.writers[memory].get(int(address), (0, 0))
            if group is None:
                assert number <= f["w_wait"], "not waited for"
            elif number:
                before = number < f["a_wait"] and (
                    f["flags"] & Flag.WHOLE or self.makes_rows[number] == self.makes_rows[f["a_wait"]])
                now = number == f["a_wait"] and (written <= group or f["flags"] & Flag.WHOLE)
                assert before or now, "not waited for"

    def words(self, addresses):
        """Elements [..., rows, depth] of activation words."""
        per_word = self.spec.word_tiles
        tiles = self.act[addresses[..., None] * per_word + np.arange(per_word)]  # (..., tile, row, col)
        tiles = np.moveaxis(tiles, -3, -2)
        return tiles.reshape(*tiles.shape[:-2], -1)

    def write_codes(self, f, codes, base):
        """Write codes [groups * rows, tiles * cols]."""
        spec, planes = self.spec, (f["flags"] >> 8 & 3) + 1
        codes = torch.from_numpy(codes)
        if f["flags"] & Flag.SIGNED:
            digits = split_signed(nearest_signed_code(codes, spec.w_bits, planes), spec.w_bits, planes)
        else:
            digits = split_unsigned(codes, spec.a_bits, planes)
        groups, tiles = codes.shape[0] // spec.rows, codes.shape[1] // spec.cols
        for plane, digit in enumerate(digits):
            elements = digit.numpy().reshape(groups, spec.rows, tiles, spec.cols) & (1 << spec.element_bits) - 1
            for group in range(groups):
                for tile in range(tiles):
                    value, line, step = elements[group, :, tile], group, tile + base
                    if f["flags"] & Flag.TRANSPOSE:
                        value, line, step = value.T, tile + base, group
                    word = f["dst_base"] + plane * f["dst_plane_stride"] + line * f["dst_stride"]
                    address = (word * spec.word_tiles) + step
                    assert step < f["dst_stride"] * spec.word_tiles
                    self.act[address] = value
                    self.writers["act"][address // spec.word_tiles] = f["index"], group
                    data = pack_rows(value.reshape(-1), spec.element_bits, 8, signed=False)
                    self.taps["act"].append((f["index"], address, data))

    def write_residual(self, f, address, value, group):
        self.writers["residual"][address] = f["index"], group
        self.residual[address] = value
        self.taps["residual"].append((f["index"], address, pack_rows(value, 16, 8, signed=True)))

    def run(self, commands, columns):
        for command in commands:
            f = command.fields
            self.makes_rows[f["index"]] = command.target is Target.SOFTMAX or command.opcode is not Opcode.MATMUL
            getattr(self, command.opcode.name.lower())(command, f, columns)
        tap = {name: np.array(records, dtype=kind(self.spec)) for (name, records), kind
               in zip(self.taps.items(), (act_records, residual_records), strict=True)}
        return {**tap, "logits": np.array([(v,) for v in self.logits], dtype=logit_records())}

    def end(self, command, f, columns):
        assert f["index"] > 1

    def load(self, command, f, columns):
        for group in range(f["groups"]):
            for column in range(f["columns"]):
                address = f["dst_base"] + group * f["columns"] + column
                self.write_residual(f, address, command.residual[group, column], group)
                self.writers["residual"].pop(address)  # what follows begins when the columns are written

    def input(self, command, f, columns):
        spec = self.spec
        assert columns.shape == (f["groups"] * f["columns"], spec.rows)
        codes = np.zeros((f["groups"] * spec.rows, f["row_tiles"] * spec.cols), dtype=np.int64)
        pixels = columns.reshape(f["groups"], f["columns"], spec.rows).swapaxes(1, 2)
        codes[:, :f["columns"]] = np.minimum(pixels, f["code_high"]).reshape(-1, f["columns"])
        self.write_codes(f, codes, 0)

    def norm(self, command, f, columns):
        spec = self.spec
        row = spec.layernorm.row_constants(f["columns"])
        assert (f["inverse0"] | f["inverse1"] << 16 | f["inverse2"] << 32) == row.inverse
        assert (f["norm"], f["exponent"]) == (row.norm, row.exponent)
        addresses = f["a_base"] + np.arange(f["groups"])[:, None] * f["a_group_stride"] + np.arange(f["columns"])
        for group, read in enumerate(addresses):
            self.check_wait("residual", read, f, group)
        x = self.residual[addresses].swapaxes(1, 2).reshape(-1, f["columns"])
        y = layernorm(torch.from_numpy(x), torch.from_numpy(command.gamma), torch.from_numpy(command.beta),
                      spec.layernorm).numpy()
        codes = np.zeros((len(y), f["row_tiles"] * spec.cols), dtype=np.int64)
        codes[:, :f["columns"]] = np.minimum(y, f["code_high"])
        self.write_codes(f, codes, 0)

    def act_weights(self, f, number):
        """Digits [set_tiles, planes, k_words, cols, depth] of one set."""
        planes = f["tile_words"] // f["k_words"]
        tile, plane, step = np.ix_(range(f["set_tiles"]), range(planes), range(f["k_words"]))
        word = f["w_base"] + number * f["w_set_stride"] + tile * f["w_tile_stride"] + plane * f["w_plane_stride"] + step
        bits = self.spec.w_bits
        self.check_wait("act", word, f)
        digits = self.words(word) & (1 << bits) - 1
        return digits - (digits >> bits - 1 << bits)

    def matmul(self, command, f, columns):
        spec = self.spec
        weights_act = f["flags"] & Flag.WEIGHTS_ACT
        weights = [self.act_weights(f, n) for n in range(f["sets"])] if weights_act else command.weights
        if f["flags"] & Flag.NEW_TABLE:
            self.table = command.table
        planes = max(a for a, _, _ in command.passes) + 1
        group, plane, step = np.ix_(range(f["groups"]), range(planes), range(f["k_words"]))
        addresses = f["a_base"] + group * f["a_group_stride"] + plane * f["a_plane_stride"] + step
        for number, read in enumerate(addresses):
            self.check_wait("act", read, f, number)
        a = self.words(addresses) & (1 << spec.a_bits) - 1  # (group, plane, step, row, depth)
        for number in range(f["sets"]):
            acc = 0
            for a_plane, w_plane, shift in command.passes:
                w = weights[number][:, w_plane]  # (tile, step, col, depth)
                acc = (acc << spec.mac.shifts[shift]) + np.einsum("gsrd,tscd->grtc", a[:, a_plane], w)
            assert np.abs(acc).max() < 1 << spec.acc_bits - 1
            acc = torch.from_numpy(acc.reshape(f["groups"] * spec.rows, -1))
            if f["flags"] & Flag.KEY_BIAS:
                scale = (1 << np.arange(weights[number].shape[1]) * spec.w_bits)[None, :, None, None, None]
                bias = -f["key_zero"] * (weights[number] * scale).sum(axis=(1, 2, 4)).reshape(-1)
                multiplier = np.full_like(bias, f["key_multiplier"])
                shift = np.full_like(bias, f["key_shift"])
                bias = bias >> spec.requantize.scalings[f["key_shift"]][0]
            else:
                bias, multiplier, shift = command.bias[number], command.multiplier[number], command.shift[number]
            pre, post = torch.tensor(spec.requantize.scalings)[torch.from_numpy(shift)].unbind(-1)
            y = requantize(
                acc, torch.from_numpy(bias), torch.from_numpy(multiplier), post, pre_shift=pre,
                operand_bits=spec.requantize.operand_bits, zero_point=f["zero_point"], low=f["low"],
                high=f["high"]).numpy()
            assert command.target is Target.SOFTMAX or f["row_tiles"] * spec.cols == f["columns"] == y.shape[1]
            self.store(command, f, number * f["row_tiles"], y)

    def store(self, command, f, tile, y):
        spec = self.spec
        if command.target is Target.LOGITS:
            self.logits += y[0].tolist()[:max(0, f["dst_stride"] - len(self.logits))]
        elif command.target is Target.RESIDUAL:
            for group in range(f["groups"]):
                for column in range(y.shape[1]):
                    address = f["dst_base"] + group * f["dst_stride"] + tile * spec.cols + column
                    value = self.residual[address] + y[group * spec.rows:(group + 1) * spec.rows, column]
                    self.write_residual(f, address, np.clip(value, -(1 << 15), (1 << 15) - 1), group)
        elif command.target is Target.SOFTMAX:
            p = softmax(torch.from_numpy(y[:, :f["columns"]]), spec.softmax, offset=f["offset"]).numpy()
            codes = np.zeros((len(p), f["row_tiles"] * spec.cols), dtype=np.int64)
            through_table = f["flags"] & Flag.TABLE
            codes[:, :f["columns"]] = self.table[p] if through_table else np.minimum(p, f["code_high"])
            self.write_codes(f, codes, 0)
        else:
            if f["flags"] & Flag.TABLE:
                y = self.table[y]
            self.write_codes(f, y, tile)
