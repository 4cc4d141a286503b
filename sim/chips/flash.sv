// A serial flash with addresses of 24 bits that is read at up to four lanes, and checks how it is treated.
//
// It looks at its pins at each cycle of `clk`, the clock of whoever drives them; times are in such cycles. What it gives
// after a falling edge of `sck` is there 1 + DELAY cycles later, and junk before. The first rule that is broken is shown at
// `fault` (its number in FLASH_RULES of sim/chips/__init__.py) and kept. At power-on it is in power-down, and in a mode
// of continuous reads, as a board's FPGA may leave it. Writing is not modelled: `poke` is a testbench's way in.
module flash_chip #(
    parameter int ADDRESS_BITS = 16, DELAY = 0, HALF = 1, T_DESELECT = 4, T_WAKE = 100
) (
    input clk, input reset,  // the power was off; the bytes stay
    input select_n, input sck, input [3:0] dq_i, input [3:0] dq_oe, output [3:0] dq_o,
    input quad_enable, output reg [3:0] fault,
    input poke, input [ADDRESS_BITS-1:0] poke_address, input [7:0] poke_data
);
    localparam bit [3:0] ASLEEP = 1, WAKING = 2, DESELECT = 3, UNKNOWN = 4, CONTENTION = 5, HELD = 6, FAST = 7,
        PARTIAL = 8, MODE = 9, CONTINUOUS = 10;
    localparam bit [7:0] WAKE = 8'hAB, EXIT = 8'hFF, READ = 8'h0B, READ_QUAD = 8'h6B;

    reg [7:0] store [0:(1 << ADDRESS_BITS) - 1];

    reg asleep, continuous, was_selected, was_high, drives, quad;
    reg [7:0] command;
    reg [23:0] address;
    reg [3:0] value, shown;
    int clocks, data_bits, awake_for, deselected_for, steady_for, ones, settles;

    function automatic void power_on();
        asleep = 1; continuous = 1; was_selected = 0; was_high = 0; drives = 0; quad = 0; fault = 0; clocks = 0;
        awake_for = 0; deselected_for = T_DESELECT; steady_for = HALF; ones = 0; settles = 0; data_bits = 0;
    endfunction

    initial power_on();

    function automatic void check(bit fine, bit [3:0] rule);
        if (!fine && fault == 0) begin
            fault = rule;
            $display("flash_chip: rule %0d is broken in command %h, clock %0d", rule, command, clocks);
        end
    endfunction

    // The pins as anyone sees them: pulled up where nobody drives.
    wire [3:0] mine = drives ? (quad ? 4'b1111 : 4'b0010) : 4'b0000;
    wire [3:0] lanes = (dq_i & dq_oe) | ~dq_oe;
    reg [3:0] junk = 4'b0110;
    assign dq_o = (settles > 0 || (was_high && !sck) ? junk & mine : value & mine) | (~mine & lanes);

    function automatic void rise();
        clocks++;
        if (dq_oe[0] && lanes[3:2] == 2'b11 && lanes[0]) ones++;
        if (clocks <= 8) command = {command[6:0], lanes[0]};
        else if (clocks <= 32) address = {address[22:0], lanes[0]};
        if (continuous) begin
            if (ones == 16) begin continuous = 0; command = EXIT; end
        end else if (clocks == 8) begin
            check(command inside {WAKE, EXIT, READ, READ_QUAD}, UNKNOWN);
            check(!asleep || command inside {WAKE, EXIT}, ASLEEP);
            check(asleep || command inside {WAKE, EXIT} || awake_for >= T_WAKE, WAKING);
        end
        if (!(drives && quad)) check(lanes[3:2] == 2'b11, HELD);
    endfunction

    function automatic void fall();
        if (!continuous && !asleep && clocks >= 40 && (command == READ || (command == READ_QUAD && quad_enable))) begin
            quad = command == READ_QUAD;
            drives = 1;
            value = quad ? (data_bits[2] ? store[address[ADDRESS_BITS-1:0]][3:0] : store[address[ADDRESS_BITS-1:0]][7:4])
                : {2'b00, store[address[ADDRESS_BITS-1:0]][3'(7 - data_bits)], 1'b0};
            settles = DELAY;
            data_bits += quad ? 4 : 1;
            if (data_bits == 8) begin data_bits = 0; address++; end
        end
    endfunction

    function automatic void deselect();
        check(clocks % 8 == 0 || clocks > 40, PARTIAL);
        check(!continuous, CONTINUOUS);
        if (!continuous && command == WAKE && clocks == 8) begin asleep = 0; awake_for = 0; end
        drives = 0; quad = 0; deselected_for = 0;
    endfunction

    always @(posedge clk) begin
        junk = {junk[2:0], junk[3] ^ junk[2]};
        if (settles > 0) settles--;
        if (poke) store[poke_address] = poke_data;
        if (!asleep) awake_for++;
        steady_for++;
        if (select_n) begin
            if (was_selected) deselect(); else deselected_for++;
        end else begin
            if (!was_selected) begin
                check(deselected_for >= T_DESELECT, DESELECT);
                check(!sck, MODE);
                clocks = 0; ones = 0; data_bits = 0; command = 0;
            end
            if (sck != was_high) begin
                check(steady_for >= HALF, FAST);
                steady_for = 0;
                if (sck) rise(); else fall();
            end
            if (|(mine & dq_oe)) check(0, CONTENTION);
        end
        was_selected = !select_n;
        was_high = sck;
        if (reset) power_on();
    end
endmodule
