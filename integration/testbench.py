"""A testbench in SystemVerilog for the accelerator behind AXI, for any simulator: golden's logits, no Python."""

from collections.abc import Mapping, Sequence

__all__ = ["hex_lines", "testbench"]

_TEXT = """\
// Sends a model and its images to {name}, with pauses, and compares every logit with those that golden computed.
// Ends with PASS, or with an error. Written by `vitric generate --wrapper axis`.
`timescale 1ns / 1ps
module {name}_tb;
  localparam MODEL_BITS = {model_bits}, IMAGE_BITS = {image_bits}, LOGIT_BITS = {logit_bits};
  localparam MODEL_BEATS = {model_beats}, IMAGE_BEATS = {image_beats}, CLASSES = {classes}, IMAGES = {images};
  localparam CYCLES_MAX = {cycles_max};

  reg [MODEL_BITS-1:0] model [0:MODEL_BEATS-1];
  reg [IMAGE_BITS-1:0] image [0:IMAGES*IMAGE_BEATS-1];
  reg [LOGIT_BITS-1:0] logits [0:IMAGES*CLASSES-1];
  initial begin
    $readmemh("{name}_model.hex", model);
    $readmemh("{name}_image.hex", image);
    $readmemh("{name}_logits.hex", logits);
  end

  reg aclk = 0, aresetn = 0;
  always #5 aclk = ~aclk;

  integer model_at = 0, image_at = 0, logit_at = 0, done = 0, cycle = 0, errors = 0;
  integer models = 0;
  reg [31:0] noise = 32'h1;  // pauses of all four ports
  reg model_go = 0, image_go = 0, logit_go = 0, status_go = 0;
  wire model_ready, image_ready, logit_valid, logit_last, status_valid, status_last;
  wire [LOGIT_BITS-1:0] logit;
  wire [23:0] status;

  {name} dut (
    .aclk(aclk), .aresetn(aresetn),
    .s_axis_model_tdata(model[model_at]), .s_axis_model_tvalid(model_go), .s_axis_model_tready(model_ready),
    .s_axis_model_tlast(model_at == MODEL_BEATS - 1),
    .s_axis_image_tdata(image[image_at]), .s_axis_image_tvalid(image_go), .s_axis_image_tready(image_ready),
    .s_axis_image_tlast(image_at % IMAGE_BEATS == IMAGE_BEATS - 1),
    .m_axis_logits_tdata(logit), .m_axis_logits_tvalid(logit_valid), .m_axis_logits_tready(logit_go),
    .m_axis_logits_tlast(logit_last),
    .m_axis_status_tdata(status), .m_axis_status_tvalid(status_valid), .m_axis_status_tready(status_go),
    .m_axis_status_tlast(status_last),
    .s_axi_awaddr(12'b0), .s_axi_awprot(3'b0), .s_axi_awvalid(1'b0), .s_axi_awready(),
    .s_axi_wdata(32'b0), .s_axi_wstrb(4'b0), .s_axi_wvalid(1'b0), .s_axi_wready(),
    .s_axi_bresp(), .s_axi_bvalid(), .s_axi_bready(1'b1),
    .s_axi_araddr(12'b0), .s_axi_arprot(3'b0), .s_axi_arvalid(1'b0), .s_axi_arready(),
    .s_axi_rdata(), .s_axi_rresp(), .s_axi_rvalid(), .s_axi_rready(1'b1), .irq());

  always @(posedge aclk) begin
    cycle <= cycle + 1;
    aresetn <= cycle > 3;
    noise <= {{noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]}};
    if (aresetn) begin
      if (model_go && model_ready) begin
        model_at <= model_at == MODEL_BEATS - 1 ? 0 : model_at + 1;
        models <= models + (model_at == MODEL_BEATS - 1);
      end
      if (!model_go || model_ready)
        model_go <= |noise[1:0] && models + (model_go && model_at == MODEL_BEATS - 1) < IMAGES;
      if (image_go && image_ready)
        image_at <= image_at + 1;
      if (!image_go || image_ready)
        image_go <= |noise[3:2] && image_at + image_go < IMAGES * IMAGE_BEATS;
      logit_go <= |noise[5:4];
      status_go <= |noise[7:6];
      if (logit_valid && logit_go) begin
        if (logit !== logits[logit_at] || logit_last !== (logit_at % CLASSES == CLASSES - 1)) begin
          $display("image %0d, class %0d: %0d and last %b, golden has %0d", logit_at / CLASSES, logit_at % CLASSES,
                   $signed(logit), logit_last, $signed(logits[logit_at]));
          errors = errors + 1;
        end
        logit_at <= logit_at + 1;
      end
      if (status_valid && status_go) begin
        if (status[7:0] != 0) begin
          $display("image %0d: error %0d at command %0d", done, status[7:0], status[23:8]);
          errors = errors + 1;
        end
        done = done + 1;
        if (done == IMAGES) begin
          if (errors != 0 || logit_at != IMAGES * CLASSES) $fatal(1, "FAIL: %0d errors, %0d logits", errors, logit_at);
          $display("PASS: %0d images, %0d logits, 0 differ, %0d cycles", IMAGES, IMAGES * CLASSES, cycle);
          $finish;
        end
      end
    end
    if (cycle > CYCLES_MAX) $fatal(1, "FAIL: not done after %0d cycles", cycle);
  end
endmodule
"""


def hex_lines(values: Sequence[int], bits: int) -> str:
    """Return integers as the lines of a file for ``$readmemh``: two's complement of ``bits`` bits."""
    digits, mask = -(-bits // 4), (1 << bits) - 1
    return "".join(f"{value & mask:0{digits}x}\n" for value in values)


def testbench(name: str, ports: Mapping[str, Mapping], *, model_beats: int, image_beats: int, classes: int, images: int,
              cycles: int) -> str:
    """Return the text of the testbench of an :class:`~vitric.integration.axis_accelerator.AxisAccelerator`.

    It reads ``NAME_model.hex``, ``NAME_image.hex`` and ``NAME_logits.hex`` (:func:`hex_lines`) where it is run.

    Parameters
    ----------
    name : str
        Of its Verilog module.
    ports : mapping
        Of the module, as of :func:`~vitric.integration.sidecar.ports`.
    model_beats, image_beats, classes : int
        Words of the model stream, columns of an image, logits of an image.
    images : int
    cycles : int
        What one inference takes without pauses; ten times as many are waited for.
    """
    widths = {f"{stream}_bits": ports[f"{end}_axis_{port}_tdata"]["width"]
              for stream, end, port in (("model", "s", "model"), ("image", "s", "image"), ("logit", "m", "logits"))}
    return _TEXT.format(
        name=name, **widths, model_beats=model_beats, image_beats=image_beats,
        classes=classes, images=images, cycles_max=10 * cycles * images + 1000)


testbench.__test__ = False
