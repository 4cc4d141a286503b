# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Signal
from vitric.hdl.fabric.rpll import rpll_settings

GW1NR = {"device": "GW1NR-9C", "vco": (400, 1200)}
GW2AR = {"device": "GW2AR-18C", "vco": (500, 1250)}


@pytest.mark.parametrize("part", [GW1NR, GW2AR])
@pytest.mark.parametrize(("wanted", "exact"), [
    (13.5, True), (27, True), (40.5, True), (54, True), (50, False), (100, False)])
def test_settings_are_legal_and_near(part, wanted, exact):
    settings = rpll_settings(27, wanted, **part)
    assert part["vco"][0] <= settings.vco_mhz <= part["vco"][1]
    assert settings.input_mhz / settings.input_divider >= 3
    assert 1 <= settings.input_divider <= 64 and 1 <= settings.feedback_divider <= 64
    assert settings.output_divider in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
    assert settings.output_mhz == settings.input_mhz * settings.feedback_divider / settings.input_divider
    assert abs(settings.output_mhz / wanted - 1) < (1e-9 if exact else 0.02)
    assert settings.output_hz == round(settings.output_mhz * 10**6)


def test_the_published_settings_of_a_known_frequency():
    """Those that gowin_pll of Apicula prints for 27 MHz to 108 MHz, but for the divider of its oscillator."""
    settings = rpll_settings(27, 108, **GW2AR)
    assert (settings.input_divider, settings.feedback_divider) == (1, 4)


@pytest.mark.parametrize(("source", "wanted", "message"), [
    (2, 50, "input clock must be between 3 and 400 MHz, not 2"),
    (27, 3, "output clock must be between 3.90625 and 625 MHz, not 3"),
    (27, 700, "output clock must be between 3.90625 and 625 MHz, not 700"),
])
def test_rejected_frequencies(source, wanted, message):
    with pytest.raises(ValueError, match=message):
        rpll_settings(source, wanted, **GW2AR)


def test_the_instance_says_what_the_settings_are():
    settings = rpll_settings(27, 40.5, **GW1NR)
    cell = settings.instance(clock_in=Signal(), clock_out=Signal(), locked=Signal())
    values = cell.parameters
    clock = float(values["FCLKIN"]) / (values["IDIV_SEL"] + 1) * (values["FBDIV_SEL"] + 1)
    assert clock == 40.5 and values["ODIV_SEL"] == settings.output_divider and values["DEVICE"] == "GW1NR-9C"
    assert "CLKOUTP" not in cell.ports


@pytest.mark.parametrize(("degrees", "step"), [(0, "0000"), (22.5, "0001"), (90, "0100"), (185, "1000"), (355, "0000")])
def test_shifted_clock(degrees, step):
    cell = rpll_settings(27, 54, **GW2AR).instance(
        clock_in=Signal(), clock_out=Signal(), locked=Signal(), shifted=Signal(), degrees=degrees)
    assert cell.parameters["PSDA_SEL"] == step and "CLKOUTP" in cell.ports
