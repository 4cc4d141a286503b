# amaranth: UnusedElaboratable=no
import pytest
from amaranth.hdl import Signal
from vitric.hdl.fabric.ehxplll import ehxpll_settings


@pytest.mark.parametrize(("wanted", "exact"), [
    (10, True), (25, True), (47, False), (50, True), (62.5, True), (75, True), (100, True), (133, False), (400, True),
])
def test_settings_are_legal_and_near(wanted, exact):
    settings = ehxpll_settings(25, wanted)
    assert 400 <= settings.vco_mhz <= 800
    assert settings.input_mhz / settings.input_divider >= 10
    assert 1 <= settings.output_divider <= 128 and 1 <= settings.feedback_divider <= 128
    assert settings.output_mhz == settings.vco_mhz / settings.output_divider
    assert abs(settings.output_mhz / wanted - 1) < (1e-9 if exact else 0.01)
    assert settings.output_hz == round(settings.output_mhz * 10**6)


def test_nothing_is_nearer():
    best = ehxpll_settings(25, 57)
    every = [25 / i * f / o for i in (1, 2) for f in range(1, 129) if 400 <= 25 / i * f <= 800 for o in range(1, 129)]
    assert abs(best.output_mhz - 57) == pytest.approx(min(abs(mhz - 57) for mhz in every))


@pytest.mark.parametrize(("source", "wanted", "name"), [(25, 9, "output"), (25, 401, "output"), (5, 50, "input")])
def test_rejected_frequencies(source, wanted, name):
    with pytest.raises(ValueError, match=f"{name} clock must be between 10 and 400 MHz"):
        ehxpll_settings(source, wanted)


def test_the_instance_closes_the_loop():
    """With feedback from CLKOP: oscillator = input / CLKI_DIV * CLKFB_DIV * CLKOP_DIV."""
    settings = ehxpll_settings(25, 62.5)
    values = settings.instance(clock_in=Signal(), clock_out=Signal(), locked=Signal()).parameters
    vco = 25 / values["CLKI_DIV"] * values["CLKFB_DIV"] * values["CLKOP_DIV"]
    assert values["FEEDBK_PATH"] == "CLKOP" and 400 <= vco <= 800
    assert vco / values["CLKOS_DIV"] == 62.5
    assert (values["CLKOP_CPHASE"], values["CLKOS_CPHASE"]) == (values["CLKOP_DIV"] - 1, values["CLKOS_DIV"] - 1)


@pytest.mark.parametrize("degrees", [0, 7, 90, 180, 201, 359])
def test_phase_is_near(degrees):
    settings = ehxpll_settings(25, 133.333)
    whole, eighths = settings.phase(degrees)
    step = 360 / settings.output_divider / 8
    assert 0 <= eighths < 8 and abs((8 * whole + eighths) * step - degrees) <= step / 2


def test_shifted_clock():
    settings = ehxpll_settings(25, 100)
    values = settings.instance(clock_in=Signal(), clock_out=Signal(), locked=Signal(), shifted=Signal(),
                     degrees=270).parameters
    assert values["CLKOS2_DIV"] == values["CLKOS_DIV"]
    later = 8 * (values["CLKOS2_CPHASE"] - values["CLKOS_CPHASE"]) + values["CLKOS2_FPHASE"]
    assert later == 6 * values["CLKOS_DIV"]
    plain = settings.instance(clock_in=Signal(), clock_out=Signal(), locked=Signal())
    assert not any("CLKOS2" in name for name in plain.parameters)


@pytest.mark.parametrize("degrees", [-1, 360])
def test_rejected_phase(degrees):
    with pytest.raises(ValueError, match="degrees must be at least 0 and below 360"):
        ehxpll_settings(25, 100).phase(degrees)
