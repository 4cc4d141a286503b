// An SDRAM with four banks and a bus of 16 bits that checks every rule of its data sheet.
//
// The first rule that is broken is shown at `fault` (its number in RULES of sim/chips/__init__.py) and kept. Times are
// in picoseconds of simulated time, whatever the clock. Junk is driven when the chip drives nothing, so that a reader
// who is early or late gets wrong values. What nobody here needs is a fault, too: commands that cut a burst, automatic
// precharge, power-down, self refresh, masked words, interleaved bursts.
module sdram_chip #(
    parameter int ROW_BITS = 13, COLUMN_BITS = 9, CAS_LATENCY = 3, INIT_REFRESHES = 8,
    parameter longint T_POWER_UP = 200000000, T_RCD = 21000, T_RP = 21000, T_RAS = 42000, T_RAS_MAX = 100000000,
                      T_RC = 63000, T_RRD = 15000, T_WR = 15000, T_RFC = 70000, T_MRD = 15000, T_REFI = 7812500,
                      T_CK2 = 10000, T_CK3 = 7000,
    localparam int ADDRESS_BITS = 2 + ROW_BITS + COLUMN_BITS
) (
    input clk, input reset,  // the power was off; the words stay, for a testbench's sake
    input cke, input cs_n, input ras_n, input cas_n, input we_n,
    input [1:0] ba, input [12:0] a, input dqm, input [15:0] dq_i, input dq_oe,
    output reg [15:0] dq_o, output reg drives, output reg [4:0] fault,
    // A way in for testbenches: a bit that is 1 in `flip` is inverted in the word at {row, bank, column} `spot`.
    input [15:0] flip, input [ADDRESS_BITS-1:0] spot
);
    localparam bit [4:0] POWER_UP = 1, SEQUENCE = 2, TRP = 3, TRCD = 4, TRAS = 5, TRAS_MAX = 6, TRC = 7, TRRD = 8,
        TWR = 9, TRFC = 10, TREFI = 11, TMRD = 12, CLOSED = 13, OPENED = 14, BUSY = 15, CONTENTION = 16,
        UNDRIVEN = 17, MODE = 18, TCK = 19, CUT = 20, UNSUPPORTED = 21;
    localparam longint NEVER = -64'd1 << 50;

    reg [15:0] store [0:(1 << ADDRESS_BITS) - 1];

    longint now, last_edge, started;
    longint activated [0:3], precharged [0:3], written [0:3], any_activated, refreshed, mode_set;
    reg [ROW_BITS-1:0] row [0:3];
    reg [3:0] is_open;
    reg is_precharged, is_set;
    int refreshes;

    reg [3:0] length;            // of a burst, from the mode register
    reg [3:0] reading, writing;  // words that are left of it
    reg [1:0] bank;
    reg [COLUMN_BITS-1:0] column;
    reg [2:0] pipe_valid;        // words on their way to the pins
    reg [15:0] pipe [0:2];
    reg drove;
    reg [15:0] junk = 16'hACE1;

    function automatic void power_on();
        fault = 0; is_open = 0; is_precharged = 0; is_set = 0; refreshes = 0; length = 1; reading = 0; writing = 0;
        pipe_valid = 0; drove = 0;
        last_edge = NEVER; started = NEVER; any_activated = NEVER; refreshed = NEVER; mode_set = NEVER;
        for (int b = 0; b < 4; b++) begin activated[b] = NEVER; precharged[b] = NEVER; written[b] = NEVER; end
    endfunction

    initial power_on();

    function automatic void check(bit fine, bit [4:0] rule);
        if (!fine && fault == 0) begin
            fault = rule;
            $display("sdram_chip: rule %0d is broken at %0d ps", rule, now);
        end
    endfunction

    function automatic bit since(longint moment, longint least);
        return now - moment >= least;
    endfunction

    function automatic bit [ADDRESS_BITS-1:0] place(bit [1:0] b, bit [COLUMN_BITS-1:0] c);
        return {row[b], b, c};
    endfunction

    // The next column of a burst stays in its block.
    function automatic bit [COLUMN_BITS-1:0] following(bit [COLUMN_BITS-1:0] c);
        bit [COLUMN_BITS-1:0] inside_block = COLUMN_BITS'(length) - 1;
        return (c & ~inside_block) | ((c + 1) & inside_block);
    endfunction

    function automatic void close(bit [1:0] b);
        if (is_open[b]) begin
            check(since(activated[b], T_RAS), TRAS);
            check(since(written[b], T_WR), TWR);
            check(!((reading > 0 || writing > 0) && bank == b), CUT);
            precharged[b] = now;
        end
        is_open[b] = 0;
    endfunction

    function automatic void column_command(bit is_write);
        check(is_set, SEQUENCE);
        check(is_open[ba], CLOSED);
        check(since(activated[ba], T_RCD), TRCD);
        check(reading == 0 && writing == 0, CUT);
        check(!a[10], UNSUPPORTED);
        bank = ba; column = a[COLUMN_BITS-1:0];
        if (is_write) writing = length; else reading = length;
    endfunction

    function automatic void idle_for(bit [4:0] rule);  // what REFRESH and MODE need
        check(is_open == 0, BUSY);
        for (int b = 0; b < 4; b++) check(since(precharged[b], T_RP), rule);
    endfunction

    always @(posedge clk) begin
        now = longint'($realtime * 1000.0);
        if (reset) power_on();
        if (started == NEVER) started = now;
        if (last_edge != NEVER) check(now - last_edge >= (CAS_LATENCY == 2 ? T_CK2 : T_CK3), TCK);
        last_edge = now;
        junk = {junk[14:0], junk[15] ^ junk[13] ^ junk[12] ^ junk[10]};
        store[spot] = store[spot] ^ flip;

        // What was on the bus before this edge.
        check(!(dq_oe && (drives || drove)), CONTENTION);
        drove = drives;
        check(cke, UNSUPPORTED);
        if (is_set) check(!since(refreshed, T_REFI + 1), TREFI);
        for (int b = 0; b < 4; b++) check(!(is_open[b] && since(activated[b], T_RAS_MAX + 1)), TRAS_MAX);

        if (!reset && !cs_n && {ras_n, cas_n, we_n} != 3'b111) begin
            check(since(started, T_POWER_UP), POWER_UP);
            check(since(refreshed, T_RFC), TRFC);
            check(since(mode_set, T_MRD), TMRD);
            case ({ras_n, cas_n, we_n})
                3'b011: begin  // ACTIVATE
                    check(is_set, SEQUENCE);
                    check(!is_open[ba], OPENED);
                    check(since(precharged[ba], T_RP), TRP);
                    check(since(activated[ba], T_RC), TRC);
                    check(since(any_activated, T_RRD), TRRD);
                    is_open[ba] = 1; row[ba] = a[ROW_BITS-1:0]; activated[ba] = now; any_activated = now;
                end
                3'b101: column_command(0);
                3'b100: column_command(1);
                3'b010: begin  // PRECHARGE
                    for (int b = 0; b < 4; b++) if (a[10] || ba == 2'(b)) close(2'(b));
                    if (a[10]) is_precharged = 1;
                end
                3'b001: begin  // REFRESH
                    check(is_precharged, SEQUENCE);
                    idle_for(TRP);
                    refreshed = now; refreshes = refreshes + 1;
                end
                3'b000: begin  // MODE
                    check(is_precharged && refreshes >= INIT_REFRESHES, SEQUENCE);
                    idle_for(TRP);
                    check(ba == 0 && a[12:7] == 0 && a[3] == 0 && a[2] == 0 && a[6:4] == 3'(CAS_LATENCY), MODE);
                    length = 4'd1 << a[1:0]; is_set = 1; mode_set = now;
                end
                default: check(0, UNSUPPORTED);  // BURST STOP
            endcase
        end

        // Data: a word of WRITE with its command and after it, one of READ so many cycles later.
        pipe_valid = {pipe_valid[1:0], 1'b0}; pipe[2] = pipe[1]; pipe[1] = pipe[0];
        if (writing > 0) begin
            check(dq_oe, UNDRIVEN);
            check(!dqm, UNSUPPORTED);
            store[place(bank, column)] = dq_i;
            written[bank] = now;
            column = following(column); writing = writing - 1;
        end else if (reading > 0) begin
            check(!dqm, UNSUPPORTED);
            pipe_valid[0] = 1; pipe[0] = store[place(bank, column)];
            column = following(column); reading = reading - 1;
        end
        drives <= pipe_valid[CAS_LATENCY - 1];
        dq_o <= pipe_valid[CAS_LATENCY - 1] ? pipe[CAS_LATENCY - 1] : junk;
    end
endmodule
