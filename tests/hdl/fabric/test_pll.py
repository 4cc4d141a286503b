from vitric.hdl.fabric.ehxplll import EhxpllSettings
from vitric.hdl.fabric.pll import pll_settings
from vitric.hdl.fabric.rpll import RpllSettings


def test_each_family_has_its_own():
    ecp5 = pll_settings("ecp5", 25, 50)
    gowin = pll_settings("gowin", 27, 54, device="GW2AR-18C", vco=(500, 1250))
    assert isinstance(ecp5, EhxpllSettings) and ecp5.output_hz == 50_000_000
    assert isinstance(gowin, RpllSettings) and gowin.output_hz == 54_000_000
    assert ecp5.phase_steps == 8 * ecp5.output_divider and gowin.phase_steps == 16
