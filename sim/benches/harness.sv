// Runs the accelerator on images without Python in the cycle loop.
//
// Streams model words and input columns, each file again from its start when it is at its end, takes logits and
// status, and writes what the debug tap shows. Files, all in the working folder, all hexadecimal:
//   settings.hex  in: lines of model.hex, lines of pixels.hex, inferences, stall percent, seed, tap (0 or 1),
//                 live (0 or 1)
//   model.hex     in: one model word a line, the flag `last` above its highest bit
//   pixels.hex    in: one input column a line, the flag `last` above its highest bit
//   pixels.fifo   in, if live: as many columns for each image, one image after the other, waited for; the simulation
//                 ends when it is at its end
//   logits.txt    out: "<image> <logit>"
//   status.txt    out: "<image> <error> <command> <cycle> <images taken from pixels.hex so far>"
//   act.txt, residual.txt  out, with tap: "<image> <command> <address> <data>"
//   events.txt    out: "<image> <command> <cycle> <beats> <model words>" when a command is complete
//   activity.txt  out: "<image> <engine> <command> <first cycle> <last cycle> <active cycles>" of each stretch in which
//                 an engine works on a command and never rests for PAUSE cycles or more
// With stall percent s, every port pauses at random in s of 100 cycles. An output that breaks rule 2 of
// hdl/streams.py ends the simulation.
`default_nettype none

module harness #(
    parameter MODEL_BITS = 64,
    parameter MODEL_DEPTH = 1024,
    parameter PIXEL_BITS = 32,
    parameter PIXEL_DEPTH = 1024,
    parameter LOGIT_BITS = 16,
    parameter ACT_ADDRESS_BITS = 10,
    parameter ACT_BITS = 64,
    parameter RESIDUAL_ADDRESS_BITS = 10,
    parameter RESIDUAL_BITS = 64,
    parameter ENGINES = 7,
    parameter PAUSE = 16
) (
    input wire clk,
    input wire rst,
    output reg done = 0,
    output reg [31:0] image = 0,
    output reg [63:0] cycle = 0
);
    reg [MODEL_BITS:0] model [0:MODEL_DEPTH-1];
    reg [PIXEL_BITS:0] pixels [0:PIXEL_DEPTH-1];

    reg [31:0] settings [0:6];
    wire [31:0] model_words = settings[0], pixel_columns = settings[1], images = settings[2];
    wire [31:0] stall = settings[3], seed = settings[4];
    wire tap = settings[5][0], live = settings[6][0];
    integer logits_file, status_file, act_file, residual_file, events_file, activity_file, live_file;
    reg is_there;  // the image that is to be run next
    reg [PIXEL_BITS:0] column;

    initial begin
        $readmemh("settings.hex", settings);
        $readmemh("model.hex", model);
        $readmemh("pixels.hex", pixels);
        if (settings[6][0]) live_file = $fopen("pixels.fifo", "r");
        is_there = ~settings[6][0];
        logits_file = $fopen("logits.txt", "w");
        status_file = $fopen("status.txt", "w");
        events_file = $fopen("events.txt", "w");
        activity_file = $fopen("activity.txt", "w");
        act_file = $fopen("act.txt", "w");
        residual_file = $fopen("residual.txt", "w");
    end

    // Pauses: one pseudo-random byte per port and cycle.
    reg [63:0] random = 64'h9e3779b97f4a7c15;
    reg seeded = 0;
    wire [63:0] mixed = random ^ (random << 13);
    wire [63:0] mixed2 = mixed ^ (mixed >> 7);
    wire [63:0] next_random = mixed2 ^ (mixed2 << 17);
    wire [15:0] threshold = stall[15:0] * 16'd256 / 16'd100;
    wire [64*(MODEL_BITS/64+1)-1:0] junk = {(MODEL_BITS/64+1){random}};
    wire [64*(PIXEL_BITS/64+1)-1:0] pixel_junk = {(PIXEL_BITS/64+1){random}};
    wire pause_model = {8'd0, random[7:0]} < threshold;
    wire pause_pixel = {8'd0, random[15:8]} < threshold;
    wire pause_logit = {8'd0, random[23:16]} < threshold;
    wire pause_status = {8'd0, random[31:24]} < threshold;

    // Once a beat is offered it stays (rule 2).
    reg model_offered = 0, pixel_offered = 0;
    reg [31:0] model_index = 0, pixel_index = 0, pixel_images = 0;
    wire model_valid = (image < images) & is_there & (model_offered | ~pause_model) & ~rst;
    wire pixel_valid = (image < images) & is_there & (pixel_offered | ~pause_pixel) & ~rst;
    wire model_ready, pixel_ready, logit_valid, status_valid;
    wire logit_ready = ~pause_logit, status_ready = ~pause_status;
    wire [LOGIT_BITS-1:0] logit;
    wire [23:0] status;  // {command, error}
    wire [MODEL_BITS:0] model_payload = model_valid ? model[model_index] : junk[MODEL_BITS:0];
    wire [PIXEL_BITS:0] pixel_payload = pixel_valid ? pixels[pixel_index] : pixel_junk[PIXEL_BITS:0];

    wire [15:0] act_command, residual_command, commands_done;
    wire act_valid, residual_valid, beat;
    wire [ACT_ADDRESS_BITS-1:0] act_address;
    wire [ACT_BITS-1:0] act_data;
    wire [RESIDUAL_ADDRESS_BITS-1:0] residual_address;
    wire [RESIDUAL_BITS-1:0] residual_data;
    wire [ENGINES-1:0] active;
    wire [16*ENGINES-1:0] commands;

    accelerator dut (
        .clk(clk), .rst(rst),
        .model__payload(model_payload), .model__valid(model_valid), .model__ready(model_ready),
        .i__payload(pixel_payload), .i__valid(pixel_valid), .i__ready(pixel_ready),
        .o__payload(logit), .o__valid(logit_valid), .o__ready(logit_ready),
        .status__payload(status), .status__valid(status_valid), .status__ready(status_ready),
        .tap__done(commands_done), .tap__beat(beat),
        .tap__act_command(act_command), .tap__residual_command(residual_command),
        .tap__act_valid(act_valid), .tap__act_address(act_address), .tap__act_data(act_data),
        .tap__residual_valid(residual_valid), .tap__residual_address(residual_address),
        .tap__residual_data(residual_data), .tap__active(active), .tap__commands(commands), .abort(1'b0), .busy(), .restart(1'b0)
    );

    // Rule 2 at the outputs: what is offered stays until it is taken.
    reg logit_held = 0, status_held = 0;
    reg [LOGIT_BITS-1:0] held_logit;
    reg [23:0] held_status;
    always @(posedge clk) begin
        logit_held <= logit_valid & ~logit_ready & ~rst;
        status_held <= status_valid & ~status_ready & ~rst;
        held_logit <= logit;
        held_status <= status;
        if (logit_held && !(logit_valid && logit == held_logit)) $fatal(1, "o changed before its transfer");
        if (status_held && !(status_valid && status == held_status)) $fatal(1, "status changed before its transfer");
    end

    // What each engine is at: its stretch ends when it takes another command or has rested.
    reg [ENGINES-1:0] begun = 0;
    reg [15:0] at [0:ENGINES-1];
    reg [63:0] first [0:ENGINES-1], latest [0:ENGINES-1];
    reg [31:0] worked [0:ENGINES-1];
    wire image_ends = status_valid & status_ready;
    always @(posedge clk) if (!rst && tap)
        for (int e = 0; e < ENGINES; e++) begin
            if (begun[e] & (image_ends | cycle - latest[e] > PAUSE | active[e] & at[e] != commands[16*e +: 16])) begin
                $fwrite(activity_file, "%h %h %h %h %h %h\n", image, e, at[e], first[e], latest[e], worked[e]);
                begun[e] <= 0;
            end
            if (active[e]) begin
                if (~begun[e] | cycle - latest[e] > PAUSE | at[e] != commands[16*e +: 16]) begin
                    first[e] <= cycle;
                    worked[e] <= 1;
                end else
                    worked[e] <= worked[e] + 1;
                begun[e] <= 1;
                at[e] <= commands[16*e +: 16];
                latest[e] <= cycle;
            end
        end

    // The next image: the simulation stands still until it is there.
    always @(posedge clk) if (!rst & live & !is_there & !done) begin
        is_there <= 1;
        for (int k = 0; k < pixel_columns; k++) begin
            if ($fscanf(live_file, "%h", column) == 1) pixels[k] = column;
            else if (!done) begin
                done <= 1;
                is_there <= 0;
            end
        end
    end

    reg [15:0] last_done = 0;
    reg [31:0] beats = 0, words = 0;

    always @(posedge clk) begin
        cycle <= cycle + 1;
        random <= next_random;
        if (!seeded) begin
            seeded <= 1;
            random <= random ^ {seed, seed};
        end
        if (!rst) begin
            model_offered <= model_valid & ~model_ready;
            pixel_offered <= pixel_valid & ~pixel_ready;
            if (model_valid & model_ready)
                model_index <= model_index == model_words - 1 ? 0 : model_index + 1;
            if (pixel_valid & pixel_ready) begin
                pixel_index <= pixel_index == pixel_columns - 1 ? 0 : pixel_index + 1;
                if (pixel_payload[PIXEL_BITS]) pixel_images <= pixel_images + 1;
            end
            if (act_valid && tap)
                $fwrite(act_file, "%h %h %h %h\n", image, act_command,
                        {{(32-ACT_ADDRESS_BITS){1'b0}}, act_address}, act_data);
            if (residual_valid && tap)
                $fwrite(residual_file, "%h %h %h %h\n", image, residual_command,
                        {{(32-RESIDUAL_ADDRESS_BITS){1'b0}}, residual_address}, residual_data);
            beats <= beats + {31'd0, beat};
            words <= words + {31'd0, model_valid & model_ready};
            last_done <= commands_done;
            if (commands_done == last_done + 16'd1)
                $fwrite(events_file, "%h %h %h %h %h\n", image, commands_done, cycle, beats, words);
            if (logit_valid & logit_ready)
                $fwrite(logits_file, "%h %h\n", image, {{(32-LOGIT_BITS){logit[LOGIT_BITS-1]}}, logit});
            if (status_valid & status_ready) begin
                $fwrite(status_file, "%h %h %h %h %h\n", image, status[7:0], status[23:8], cycle, pixel_images);
                image <= image + 1;
                if (live) begin
                    is_there <= 0;
                    $fflush(logits_file);
                    $fflush(events_file);
                    $fflush(act_file);
                    $fflush(residual_file);
                    $fflush(activity_file);
                    $fflush(status_file);
                end
                if (image == images - 1) begin
                    $fclose(logits_file);
                    $fclose(status_file);
                    $fclose(events_file);
                    $fclose(act_file);
                    $fclose(residual_file);
                    $fclose(activity_file);
                    done <= 1;
                end
            end
        end
    end
endmodule

`default_nettype wire
