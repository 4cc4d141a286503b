"""cocotb testbenches under Verilator, one stream kit, one runner."""
