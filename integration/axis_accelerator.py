"""The accelerator behind AXI: four streams, and registers."""

from amaranth.hdl import ClockDomain, Module, Signal, signed
from amaranth.lib import crc, stream, wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.spec.accelerator import AcceleratorSpec
from vitric.golden.spec.command import ErrorCode
from vitric.hdl.accelerator import Accelerator
from vitric.hdl.accelerator.layouts import STATUS, input_column, model_word

from .axi_lite import AxiLite, axi_lite_members
from .axi_stream import axis_members, join_axis
from .registers import ID, MAP_VERSION, REGISTERS

__all__ = ["AxisAccelerator", "Outcome"]


class Outcome(wiring.Component):
    """What an accelerator gives, as packets and as numbers that stay.

    A logit is held back until the next one or the status is there, because only then is it known whether it is the
    last. The status is passed on behind the logits. The numbers change when it is.

    *Handshake*: rules 1 to 4 of :mod:`vitric.hdl.streams`. *Latency*: 1 cycle for a logit, 0 for the status.
    *Interval*: 1 cycle.

    Parameters
    ----------
    spec : AcceleratorSpec

    Members
    -------
    logits : stream of signed(residual_bits), in
    status : stream of STATUS, in
    packet : stream of signed(residual_bits), out
    packet_last : 1, out
        With ``packet.valid``: this is the last logit of an inference.
    report : stream of STATUS, out
    restart : 1, in
        Forget what has come of an inference that has not ended.
    error, command, label, count : 8, 16, 16, 16, out
        Of the last inference: its status; of the last one without error the index of its largest logit, the first of
        equal ones, and how many there were.
    """

    def __init__(self, spec: AcceleratorSpec):
        logit = signed(spec.residual_bits)
        super().__init__({
            "logits": In(stream.Signature(logit)), "status": In(stream.Signature(STATUS)),
            "packet": Out(stream.Signature(logit)), "packet_last": Out(1), "report": Out(stream.Signature(STATUS)),
            "restart": In(1), "error": Out(8), "command": Out(16), "label": Out(16), "count": Out(16),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        held, label, count, best = Signal(), Signal(16), Signal(16), Signal.like(self.logits.payload)
        m.d.comb += [
            self.packet.valid.eq(held & (self.logits.valid | self.status.valid)),
            self.packet_last.eq(~self.logits.valid),
            self.logits.ready.eq(self.packet.ready | ~held),
            self.report.payload.eq(self.status.payload),
            self.report.valid.eq(self.status.valid & ~held), self.status.ready.eq(self.report.ready & ~held),
        ]
        with m.If(self.logits.valid & self.logits.ready):
            m.d.sync += [self.packet.payload.eq(self.logits.payload), held.eq(1), count.eq(count + 1)]
            with m.If((count == 0) | (self.logits.payload > best)):
                m.d.sync += [best.eq(self.logits.payload), label.eq(count)]
        with m.Elif(self.packet.valid & self.packet.ready):
            m.d.sync += held.eq(0)
        with m.If(self.report.valid & self.report.ready):
            m.d.sync += [self.error.eq(self.status.p.error), self.command.eq(self.status.p.command), count.eq(0)]
            with m.If(self.status.p.error == ErrorCode.OK):
                m.d.sync += [self.label.eq(label), self.count.eq(count)]
        with m.If(self.restart):
            m.d.sync += [held.eq(0), count.eq(0)]
        return m


class AxisAccelerator(wiring.Component):
    """An :class:`~vitric.hdl.accelerator.Accelerator` with the ports of AXI4-Stream and AXI4-Lite.

    One packet of ``s_axis_model`` is a model stream, one of ``s_axis_image`` an image, in beats as
    :class:`~vitric.hdl.accelerator.Accelerator` takes them. For each inference there is one packet of
    ``m_axis_logits``, class 0 first, unless it ended with an error, and then one beat of ``m_axis_status``:
    ``tdata[7:0]`` is the error, 0 for none, ``tdata[23:8]`` the command of the model being read. The next inference
    begins when that beat was taken; a status that nobody wants needs ``m_axis_status_tready`` tied to 1.

    An error before the image was begun leaves its packet to the next inference. ``restart`` may withdraw a beat that
    is offered, so whoever uses it resets what is connected, too.

    The registers are those of :data:`~vitric.integration.registers.REGISTERS`. Whoever does not connect AXI4-Lite (all
    its inputs 0) has inferences one after the other, as the streams bring them.

    *Latency and interval*: those of the accelerator; logits leave a cycle later.

    Parameters
    ----------
    spec : AcceleratorSpec
    fabric : {None, "generic", "ecp5", "ice40", "gowin"}
        As of the accelerator.

    Members
    -------
    aclk, aresetn : 1, in
        Clock of all ports; reset, active low, taken at rising edges.
    s_axis_model_*, s_axis_image_* : streams, in
    m_axis_logits_*, m_axis_status_* : streams, out
        Of whole bytes; logits have the sign in all bits above theirs.
    s_axi_* : see :func:`~vitric.integration.axi_lite.axi_lite_members`
    irq : 1, out
        An inference has ended (``state.done``) and ``control.irq_enable`` is 1; a level.

    Attributes
    ----------
    shapes : dict
        Payload and direction, ``in`` or ``out``, of each stream by its name.
    """

    def __init__(self, spec: AcceleratorSpec, *, fabric: str | None = None):
        self.spec = spec
        self.fabric = fabric
        self.shapes = {"model": (model_word(spec), "in"), "image": (input_column(spec), "in"),
                       "logits": (signed(spec.residual_bits), "out"), "status": (STATUS, "out")}
        super().__init__({
            "aclk": In(1), "aresetn": In(1),
            **{name: member for stream_name, (shape, where) in self.shapes.items()
               for name, member in axis_members(stream_name, shape, into=where == "in", packet=True).items()},
            **axi_lite_members("s_axi"), "irq": Out(1),
        })

    def elaborate(self, platform):
        """Return the module."""
        m = Module()
        m.domains.sync = domain = ClockDomain()
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        m.submodules.lite = lite = AxiLite(REGISTERS)
        m.submodules.accelerator = accelerator = Accelerator(self.spec, fabric=self.fabric)
        registers = lite.block
        for name in axi_lite_members("s_axi"):
            ours, theirs = getattr(self, name), getattr(lite, name)
            inward = self.signature.members[name].flow is In
            m.d.comb += theirs.eq(ours) if inward else ours.eq(theirs)

        restart = registers.control_restart
        m.submodules.outcome = outcome = Outcome(self.spec)
        m.d.comb += [outcome.restart.eq(restart), accelerator.restart.eq(restart),
                     accelerator.abort.eq(registers.control_abort)]
        self._connect(m, accelerator, outcome, self._gate(m, accelerator, outcome, registers))
        self._measure(m, accelerator, outcome.report.valid, registers)
        m.d.comb += [
            registers.id_id.eq(ID), registers.map_version_map_version.eq(MAP_VERSION),
            registers.spec_hash_spec_hash.eq(self.spec.hash),
            registers.ports_model_bytes.eq(len(self.s_axis_model_tdata) // 8),
            registers.ports_image_bytes.eq(len(self.s_axis_image_tdata) // 8),
            registers.ports_logit_bits.eq(self.spec.residual_bits),
            registers.state_busy.eq(accelerator.busy),
            registers.result_error.eq(outcome.error), registers.result_command.eq(outcome.command),
            registers.class_label.eq(outcome.label), registers.class_count.eq(outcome.count),
            self.irq.eq(registers.state_done_now & registers.control_irq_enable),
        ]
        return m

    def _gate(self, m: Module, accelerator, outcome, registers):
        """Return whether the accelerator may take anything; count what ends."""
        started, ends = Signal(), Signal()
        m.d.comb += [
            ends.eq(outcome.report.valid & outcome.report.ready), registers.state_done.eq(ends),
            registers.state_armed.eq(registers.control_auto | started | accelerator.busy),
        ]
        with m.If(registers.control_restart | ends):
            m.d.sync += started.eq(0)
        with m.If(registers.control_start):
            m.d.sync += started.eq(1)
        inferences = registers.inferences_inferences
        ended = Signal.like(inferences)
        m.d.comb += inferences.eq(ended)
        m.d.sync += ended.eq(ended + ends)
        return registers.state_armed

    def _connect(self, m: Module, accelerator, outcome, armed) -> None:
        """Connect the streams, those that enter only while ``armed``."""
        for name, port in (("model", accelerator.model), ("image", accelerator.i)):
            gated = stream.Signature(port.payload.shape()).create(path=(f"gated_{name}",))
            join_axis(m, self, name, gated, into=True)
            m.d.comb += [
                port.payload.eq(gated.payload), port.valid.eq(gated.valid & armed), gated.ready.eq(port.ready & armed)]
        for inner, port in ((accelerator.o, outcome.logits), (accelerator.status, outcome.status)):
            m.d.comb += [port.payload.eq(inner.payload), port.valid.eq(inner.valid), inner.ready.eq(port.ready)]
        join_axis(m, self, "logits", outcome.packet, into=False)
        join_axis(m, self, "status", outcome.report, into=False)
        m.d.comb += [self.m_axis_logits_tlast.eq(outcome.packet_last), self.m_axis_status_tlast.eq(1)]

    def _measure(self, m: Module, accelerator, ended, registers) -> None:
        """Count the cycles of an inference, and check what its model is."""
        cycles, whole = Signal(32), Signal()
        m.d.comb += registers.cycles_cycles.eq(cycles)
        model, begun = accelerator.model, Signal()
        taken = model.valid & model.ready
        with m.If(taken & ~accelerator.busy):
            m.d.sync += cycles.eq(1)
        with m.Elif(accelerator.busy & ~ended):
            m.d.sync += cycles.eq(cycles + 1)
        m.submodules.check = check = crc.catalog.CRC32_ISCSI(data_width=self.spec.model_bits).create()
        m.d.comb += [check.valid.eq(taken), check.data.eq(model.p.data), check.start.eq(taken & ~begun)]
        m.d.sync += whole.eq(taken & model.p.last)
        with m.If(registers.control_restart):
            m.d.sync += begun.eq(0)
        with m.Elif(taken):
            m.d.sync += begun.eq(~model.p.last)
        kept = Signal(32)
        m.d.comb += registers.model_crc_model_crc.eq(kept)
        with m.If(whole):
            m.d.sync += kept.eq(check.crc)
