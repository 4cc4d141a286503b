// Behaviour of the ECP5 carry cell as this project uses it: two positions of a carry chain, both INJECT1 "NO".
// A position gives LUT4(a, b, c, d) ^ carry; its carry out is the carry in where the LUT4 is 1, else LUT2(a, b), which
// is the lowest four bits of the LUT4's table.
module CCU2C (
    input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
    output S0, S1, COUT
);
    parameter [15:0] INIT0 = 0;
    parameter [15:0] INIT1 = 0;
    parameter INJECT1_0 = "NO";
    parameter INJECT1_1 = "NO";

    wire [15:0] table0 = INIT0;
    wire [15:0] table1 = INIT1;
    wire propagate0 = table0[{D0, C0, B0, A0}];
    wire propagate1 = table1[{D1, C1, B1, A1}];
    wire between = propagate0 ? CIN : table0[{2'b00, B0, A0}];

    assign S0 = propagate0 ^ CIN;
    assign S1 = propagate1 ^ between;
    assign COUT = propagate1 ? between : table1[{2'b00, B1, A1}];
endmodule
