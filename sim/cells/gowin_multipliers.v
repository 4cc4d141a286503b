// Behaviour of the Gowin multipliers as this project uses them: parallel operands, registers on each operand and on the
// result with one CLK, CE and RESET, each present when AREG, BREG or OUT_REG is 1. All else of the primitives is left out.
module MULT18X18 #(
    parameter BITS = 18,
    parameter AREG = 1'b0,
    parameter BREG = 1'b0,
    parameter OUT_REG = 1'b0
) (
    input [BITS-1:0] A, B, SIA, SIB,
    input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [2*BITS-1:0] DOUT
);
    reg [BITS-1:0] a_register, b_register;
    reg [2*BITS-1:0] out_register;
    wire [BITS-1:0] a_used = AREG ? a_register : A;
    wire [BITS-1:0] b_used = BREG ? b_register : B;
    wire signed [2*BITS-1:0] a_wide = {{BITS{ASIGN & a_used[BITS-1]}}, a_used};
    wire signed [2*BITS-1:0] b_wide = {{BITS{BSIGN & b_used[BITS-1]}}, b_used};
    wire [2*BITS-1:0] product = a_wide * b_wide;

    always @(posedge CLK)
        if (RESET) begin
            a_register <= 0;
            b_register <= 0;
            out_register <= 0;
        end else if (CE) begin
            a_register <= A;
            b_register <= B;
            out_register <= product;
        end

    assign DOUT = OUT_REG ? out_register : product;
endmodule

module MULT9X9 #(
    parameter AREG = 1'b0,
    parameter BREG = 1'b0,
    parameter OUT_REG = 1'b0
) (
    input [8:0] A, B, SIA, SIB,
    input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output [17:0] DOUT
);
    MULT18X18 #(.BITS(9), .AREG(AREG), .BREG(BREG), .OUT_REG(OUT_REG)) multiplier (
        .A(A), .B(B), .SIA(SIA), .SIB(SIB), .ASIGN(ASIGN), .BSIGN(BSIGN), .ASEL(ASEL), .BSEL(BSEL),
        .CE(CE), .CLK(CLK), .RESET(RESET), .DOUT(DOUT));
endmodule
