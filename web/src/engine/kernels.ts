/** The loops in which all the time goes, written out for vectors of four numbers. */
import { Body, moduleOf } from "./assembler";

/** Pixels and channels that are computed at once: as many sums as stay near the processor. */
export const PIXELS = 8;
export const CHANNELS = 8;
/** Numbers of a pixel that are taken at once. */
export const DEPTH = 4;

export interface Kernels {
  /**
   * Sum products of pixels and weights, of pixels `first` to `last`.
   *
   * Addresses are bytes. `rows` holds for each tap (`pitch` entries) where the pixel lies that each result takes
   * there, `depth` floats long; `weights` holds for each eight channels `taps * depth` rows of eight. Beside the
   * bias `added` is added where it is not 0; `outStep` and `addStep` are bytes from a pixel to the next.
   */
  convolve(rows: number, pitch: number, taps: number, depth: number, weights: number, bias: number, channels: number,
    out: number, outStep: number, added: number, addStep: number, relu: number, first: number, last: number): void;
  /** Write `x * factor + shift` of each channel, with `relu` at least 0, of so many pixels. */
  scale(from: number, fromStep: number, to: number, toStep: number, factors: number, shifts: number, channels: number,
    relu: number, pixels: number): void;
  /** Write the largest value of each channel over the taps; `rows` and `pitch` as for `convolve`. */
  largest(rows: number, pitch: number, taps: number, channels: number, out: number, outStep: number, factor: number, pixels: number): void;
  /** Write the sum of each channel over the taps times four equal numbers at `factor`. */
  sum(rows: number, pitch: number, taps: number, channels: number, out: number, outStep: number, factor: number, pixels: number): void;
}

let compiled: WebAssembly.Module | null = null;

/** Make the loops for a memory. They are compiled once, so that those of a second model are fast from the start. */
export function kernelsFor(memory: WebAssembly.Memory): Kernels {
  compiled ??= new WebAssembly.Module(written());
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernels;
}

/** Write the loops, with fused multiplication and addition where the browser has it. */
function written(): Uint8Array<ArrayBuffer> {
  const others = [scaling(), pooling("largest", "f32x4.max"), pooling("sum", "f32x4.add")];
  const fused = moduleOf([convolution(true), ...others]);
  return WebAssembly.validate(fused) ? fused : moduleOf([convolution(false), ...others]);
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const SUMS = range(PIXELS).flatMap((i) => range(CHANNELS / 4).map((j) => `sum${i}_${j}`));
const ROWS = range(PIXELS).map((i) => `row${i}`);
const LANES = range(DEPTH).map((lane) => `lane${lane}`);
/** Of each of four numbers a row of eight weights. */
const WEIGHTS = range((DEPTH * CHANNELS) / 4).map((i) => `weight${i}`);

function convolution(fused: boolean): Body {
  const body = new Body(
    "convolve",
    ["rows", "pitch", "taps", "depth", "weights", "bias", "channels", "out", "outStep", "added", "addStep", "relu", "first", "last"],
    ["pixel", "channel", "weight", "end", "tap", "table", "place", ...ROWS],
    [...SUMS, ...LANES, ...WEIGHTS, "taken"],
  );
  const each = (work: (i: number, j: number, sum: string) => void) =>
    range(PIXELS).forEach((i) => range(CHANNELS / 4).forEach((j) => work(i, j, `sum${i}_${j}`)));
  body.get("first").set("pixel").repeat(() => {
    body.constant(0).set("channel").get("weights").set("weight").repeat(() => {
      begin(body, each);
      overTaps(body, fused);
      finish(body, each);
      body.constant(CHANNELS).advance("channel").get("channel", "channels").op("i32.lt_s");
    });
    body.constant(PIXELS).advance("pixel").get("pixel", "last").op("i32.lt_s");
  });
  return body;
}

type Each = (work: (i: number, j: number, sum: string) => void) => void;

/** Begin with the bias and what is added. */
function begin(body: Body, each: Each): void {
  const channel = () => body.get("channel").constant(2).op("i32.shl", "i32.add");
  each((_, j, sum) => {
    body.get("bias");
    channel().memory("v128.load", 16 * j).set(sum);
  });
  body.get("added").when(() => {
    body.get("added", "pixel", "addStep").op("i32.mul", "i32.add");
    channel().set("place");
    each((_, j, sum) => {
      body.get(sum, "place").memory("v128.load", 16 * j).vector("f32x4.add").set(sum);
      if (j === CHANNELS / 4 - 1) body.get("addStep").advance("place");
    });
  });
}

function overTaps(body: Body, fused: boolean): void {
  body.constant(0).set("tap").get("rows", "pixel").constant(2).op("i32.shl", "i32.add").set("table");
  body.repeat(() => {
    ROWS.forEach((row, i) => body.get("table").memory("i32.load", 4 * i).set(row));
    body.get("weight", "depth").constant(4 * CHANNELS).op("i32.mul", "i32.add").set("end");
    body.repeat(() => {
      WEIGHTS.forEach((weight, i) => body.get("weight").memory("v128.load", 16 * i).set(weight));
      ROWS.forEach((row, i) => multiply(body, row, i, fused));
      body.constant(4 * CHANNELS * DEPTH).advance("weight").get("weight", "end").op("i32.lt_u");
    });
    body.get("pitch").constant(2).op("i32.shl").advance("table");
    body.constant(1).advance("tap").get("tap", "taps").op("i32.lt_s");
  });
}

/** Multiply four numbers of one pixel with their rows of weights: weights stay near, sums come and go. */
function multiply(body: Body, row: string, i: number, fused: boolean): void {
  body.get(row).memory("v128.load").set("taken").constant(4 * DEPTH).advance(row);
  range(DEPTH).forEach((lane) => body.spread(lane, "taken").set(`lane${lane}`));
  range(CHANNELS / 4).forEach((j) => {
    const sum = `sum${i}_${j}`;
    range(DEPTH).forEach((lane) => {
      body.get(`lane${lane}`, WEIGHTS[lane * (CHANNELS / 4) + j]);
      if (fused) body.get(sum).vector("f32x4.relaxed_madd").set(sum);
      else body.vector("f32x4.mul").get(sum).vector("f32x4.add").set(sum);
    });
  });
}

/** Write what was summed, but nothing beyond the last pixel. */
function finish(body: Body, each: Each): void {
  body.get("relu").when(() => each((_, __, sum) => body.get(sum).zeros().vector("f32x4.pmax").set(sum)));
  body.get("out", "pixel", "outStep").op("i32.mul", "i32.add");
  body.get("channel").constant(2).op("i32.shl", "i32.add").set("place");
  range(PIXELS).forEach((i) => {
    body.get("pixel").constant(i).op("i32.add").get("last").op("i32.lt_s").when(() => {
      range(CHANNELS / 4).forEach((j) => body.get("place", `sum${i}_${j}`).memory("v128.store", 16 * j));
    });
    body.get("outStep").advance("place");
  });
}

function scaling(): Body {
  const body = new Body(
    "scale",
    ["from", "fromStep", "to", "toStep", "factors", "shifts", "channels", "relu", "pixels"],
    ["pixel", "at", "end"],
    ["value"],
  );
  const here = (name: string) => body.get(name, "at").op("i32.add");
  body.constant(0).set("pixel").get("channels").constant(2).op("i32.shl").set("end").repeat(() => {
    body.constant(0).set("at").repeat(() => {
      here("from").memory("v128.load");
      here("factors").memory("v128.load").vector("f32x4.mul");
      here("shifts").memory("v128.load").vector("f32x4.add").set("value");
      body.get("relu").when(() => body.get("value").zeros().vector("f32x4.pmax").set("value"));
      here("to").get("value").memory("v128.store");
      body.constant(16).advance("at").get("at", "end").op("i32.lt_u");
    });
    body.get("fromStep").advance("from").get("toStep").advance("to");
    body.constant(1).advance("pixel").get("pixel", "pixels").op("i32.lt_s");
  });
  return body;
}

function pooling(name: "largest" | "sum", op: "f32x4.max" | "f32x4.add"): Body {
  const body = new Body(
    name,
    ["rows", "pitch", "taps", "channels", "out", "outStep", "factor", "pixels"],
    ["pixel", "at", "end", "tap", "table"],
    ["value"],
  );
  const load = () => body.get("table").memory("i32.load").get("at").op("i32.add").memory("v128.load");
  body.constant(0).set("pixel").get("channels").constant(2).op("i32.shl").set("end").repeat(() => {
    body.constant(0).set("at").repeat(() => {
      body.get("rows", "pixel").constant(2).op("i32.shl", "i32.add").set("table");
      load().set("value").constant(1).set("tap").repeat(() => {
        body.get("pitch").constant(2).op("i32.shl").advance("table").get("value");
        load().vector(op).set("value");
        body.constant(1).advance("tap").get("tap", "taps").op("i32.lt_s");
      });
      body.get("out", "at").op("i32.add").get("value", "factor").memory("v128.load").vector("f32x4.mul").memory("v128.store");
      body.constant(16).advance("at").get("at", "end").op("i32.lt_u");
    });
    body.get("outStep").advance("out");
    body.constant(1).advance("pixel").get("pixel", "pixels").op("i32.lt_s");
  });
  return body;
}
