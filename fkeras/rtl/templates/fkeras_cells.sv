// Cells of one word. Copies lie in instances of their own: synthesis merges registers that always hold the same where it
// sees them side by side, whatever attribute they have, but not through a boundary that is kept.
(* keep_hierarchy = "yes", DONT_TOUCH = "yes", syn_hier = "hard", syn_preserve = 1 *)
module fkeras_cells #(parameter WIDTH = 1) (
    input clk,
    input select,
    input [0:WIDTH-1] write,
    input [0:WIDTH-1] d,
    output [0:WIDTH-1] q
);
    (* keep = "true", dont_touch = "true", syn_preserve = 1, preserve *) reg [0:WIDTH-1] cells;
    always @(posedge clk)
        if (select) cells <= (cells & ~write) | (d & write);
    assign q = cells;
endmodule
