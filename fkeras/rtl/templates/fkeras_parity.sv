// One check bit: an odd number of wrong cells is detected.
module fkeras_parity #(parameter WIDTH = 1) (
    input [0:WIDTH-1] data,
    input check,
    output detected
);
    assign detected = ^{data, check};
endmodule
