// Majority of three copies of each bit.
module fkeras_tmr #(parameter WIDTH = 1) (
    input [0:WIDTH-1] a,
    input [0:WIDTH-1] b,
    input [0:WIDTH-1] c,
    output [0:WIDTH-1] vote,
    output corrected
);
    assign vote = (a & b) | (a & c) | (b & c);
    assign corrected = |((a ^ b) | (a ^ c));
endmodule
