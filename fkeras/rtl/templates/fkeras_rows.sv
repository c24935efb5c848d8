// One of many blocks of rows: what is selected in each is, here.
(* keep_hierarchy = "yes" *)
module fkeras_rows #(parameter ROWS = 1) (
    input block,
    input [0:ROWS-1] row,
    output [0:ROWS-1] select
);
    assign select = {ROWS{block}} & row;
endmodule
