"""What a subordinate of AXI4-Lite owes its manager, as assertions about its ports."""

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from vitric.integration.axi_lite import AxiLite
from vitric.integration.registers import Field, Register

from .ports import join_ports

__all__ = ["CHECKS", "MAP", "AxiRules"]

CHECKS = {
    "answers": "an answer stays until it is taken, comes to nothing but a request, and within two cycles of it",
    "values": "a read gives what the last write to the register left, byte by byte; no other write changes it",
}
"""What each check proves."""

MAP = (Register(name="one", address=0x10, summary="", fields=(
    Field(name="kept", low=4, bits=10, access="rw", reset=0x2A5, summary=""),)),)
"""Registers of the proof: a field across two bytes."""

_OWED = 2  # cycles


class AxiRules(wiring.Component):
    """AXI4-Lite registers with free inputs, and assertions.

    Assumed of the manager: what it offers stays until it is taken.

    Parameters
    ----------
    unit : AxiLite
        Of :data:`MAP`.
    check : str
        One of :data:`CHECKS`.

    Members
    -------
    Those of the unit.
    """

    def __init__(self, unit: AxiLite, check: str):
        if check not in CHECKS:
            raise ValueError(f"check must be one of {', '.join(CHECKS)}, not {check!r}")
        self.unit, self.check = unit, check
        super().__init__(dict(unit.signature.members))

    def elaborate(self, platform):
        """Return the unit, joined to the ports, and the properties."""
        m = Module()
        m.submodules.unit = unit = self.unit
        join_ports(m, unit, self)
        for channel, names in (("aw", ("addr", "prot")), ("w", ("data", "strb")), ("ar", ("addr", "prot"))):
            m.d.comb += Assume(self._stays(m, channel, names))
        getattr(self, f"_{self.check}")(m)
        return m

    def _port(self, name: str):
        return getattr(self.unit, f"s_axi_{name}")

    def _taken(self, channel: str):
        return self._port(f"{channel}valid") & self._port(f"{channel}ready")

    def _stays(self, m: Module, channel: str, names: tuple[str, ...]) -> Signal:
        """Return whether what was offered and not taken a cycle ago is offered now."""
        offered = Cat(self._port(f"{channel}valid"), *(self._port(f"{channel}{name}") for name in names))
        waiting, before = Signal(name=f"{channel}_waiting"), Signal(len(offered), name=f"{channel}_before")
        m.d.sync += [waiting.eq(self._port(f"{channel}valid") & ~self._port(f"{channel}ready")), before.eq(offered)]
        stays = Signal(name=f"{channel}_stays")
        m.d.comb += stays.eq(~waiting | (offered == before))
        return stays

    def _answers(self, m: Module) -> None:
        """A counter for each side tells what is owed, another one for how long."""
        for answer, names, requests in (("b", ("resp",), ("aw", "w")), ("r", ("data", "resp"), ("ar",))):
            m.d.comb += Assert(self._stays(m, answer, names), f"{answer} is withdrawn or changes")
            owed = []
            for request in requests:
                count = Signal(3, name=f"{request}_owed")
                m.d.sync += count.eq(count + self._taken(request) - self._taken(answer))
                owed.append(count != 0)
            due, late = Signal(name=f"{answer}_due"), Signal(range(_OWED + 2), name=f"{answer}_late")
            m.d.comb += due.eq(Cat(owed).all())
            m.d.sync += late.eq(Mux(due & ~self._port(f"{answer}valid"), late + 1, 0))
            m.d.comb += [
                Assert(~self._port(f"{answer}valid") | due, f"{answer} answers nothing"),
                Assert(late <= _OWED, f"{answer} is late"),
            ]

    def _values(self, m: Module) -> None:
        """What the field must be follows from the requests that were taken."""
        register, = MAP
        field, = register.fields
        wanted = Signal(field.bits, init=field.reset)
        address, data, strobe = Signal(12), Signal(32), Signal(4)
        has = {channel: Signal(name=f"has_{channel}") for channel in ("aw", "w")}
        with m.If(self._taken("aw")):
            m.d.sync += [address.eq(self._port("awaddr")), has["aw"].eq(1)]
        with m.If(self._taken("w")):
            m.d.sync += [data.eq(self._port("wdata")), strobe.eq(self._port("wstrb")), has["w"].eq(1)]
        begins = Signal()  # the answer to a write, and with it the write, begins in the next cycle
        m.d.comb += begins.eq(has["aw"] & has["w"] & ~self._port("bvalid"))
        part = slice(field.low, field.low + field.bits)
        chosen = Cat(bit.replicate(8) for bit in strobe)[part]
        with m.If(begins):
            m.d.sync += [has["aw"].eq(0), has["w"].eq(0)]
            with m.If(address[2:] == register.address >> 2):
                m.d.sync += wanted.eq(wanted & ~chosen | data[part] & chosen)
        value = Signal(32)
        here = Signal()
        with m.If(self._taken("ar")):
            m.d.sync += [here.eq(self._port("araddr")[2:] == register.address >> 2),
                         value.eq(Mux(self._port("araddr")[2:] == register.address >> 2, wanted << field.low, 0))]
        m.d.comb += [
            Assert(~self._port("rvalid") | (self._port("rdata") == value), "a read gives something else"),
            Assert(~self._port("rvalid") | (self._port("rresp") == Mux(here, 0, 2)), "a read is answered wrongly"),
        ]
