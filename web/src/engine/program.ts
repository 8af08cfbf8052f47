/** A trunk, compiled for images of one size: a list of steps over a memory of its own. */
import { CHANNELS, DEPTH, PIXELS, kernelsFor, type Kernels } from "./kernels";
import { Buffer, layOut } from "./memory";
import type { Node } from "./onnx";
import { Unsupported, groupsOf, shapesOf, windowOf, type Groups, type Shape, type Weights, type Window } from "./shapes";
import { folded, normOf, packed } from "./weights";

/** A tensor: its first number, and how many numbers lie from a pixel to the next. */
interface Place extends Shape {
  buffer: Buffer;
  skip: number;
  step: number;
}

export interface Values {
  dims: readonly number[];
  data: Float32Array;
}

/** So many bytes of weights stay near the processor while all pixels pass by. */
const NEAR = 1 << 17;

const up = (count: number, by: number) => Math.ceil(count / by) * by;
const pixelsOf = (shape: Shape) => shape.images * shape.height * shape.width;

export class Program {
  private readonly steps: (() => void)[] = [];
  private readonly kept: { buffer: Buffer; fill: (memory: WebAssembly.Memory, at: number) => void }[] = [];
  private readonly passing = new Set<Buffer>();
  private readonly places = new Map<string, Place>();
  private readonly shared = new Map<unknown, Buffer>();
  private readonly readers = new Map<string, Node[]>();
  private readonly done = new Set<Node>();
  private readonly shapes: Map<string, Shape>;
  private readonly groups: Groups;
  private readonly nothing: Buffer;
  private readonly kernels: Kernels;
  private readonly floats: Float32Array;
  private inputs = new Map<string, Float32Array>();

  /** Throws Unsupported where a node is of a kind that no step exists for. */
  constructor(trunk: Node[], private readonly given: string[], private readonly taken: Map<string, Shape>, private readonly weights: Map<string, Weights>) {
    this.shapes = shapesOf(trunk, taken, weights);
    this.groups = groupsOf(trunk, this.shapes);
    for (const node of trunk) for (const name of node.inputs) this.readers.set(name, [...(this.readers.get(name) ?? []), node]);
    const widest = Math.max(...[...this.shapes.values()].map((shape) => shape.channels));
    this.nothing = this.keep(widest, () => undefined);
    for (const node of trunk) if (!this.done.has(node)) this.compile(node);
    for (const name of given) this.use(this.places.get(name)!);
    const slack = PIXELS * Math.max(...[...this.places.values()].map((place) => place.step));
    const memory = layOut(this.kept.map((each) => each.buffer), [...this.passing], slack);
    for (const { buffer, fill } of this.kept) fill(memory, buffer.at);
    this.floats = new Float32Array(memory.buffer);
    this.kernels = kernelsFor(memory);
  }

  /** Run it: channels come first in what it takes and in what it gives. */
  run(inputs: Map<string, Float32Array>): Map<string, Values> {
    this.inputs = inputs;
    for (const step of this.steps) step();
    return new Map(this.given.map((name) => [name, this.read(this.places.get(name)!)]));
  }

  private read(place: Place): Values {
    const { images, height, width, channels, step } = place;
    const data = new Float32Array(images * channels * height * width);
    const start = place.buffer.at / 4 + place.skip;
    for (let image = 0, to = 0; image < images; image++) {
      for (let channel = 0; channel < channels; channel++) {
        let from = start + image * height * width * step + channel;
        for (let i = height * width; i > 0; i--, from += step) data[to++] = this.floats[from];
      }
    }
    return { dims: [images, channels, height, width], data };
  }

  private compile(node: Node): void {
    if (node.op === "Conv") this.convolve(node);
    else if (node.op === "Concat") this.join(node);
    else if (node.op === "Add") this.add(node);
    else if (node.op === "MaxPool" || node.op === "AveragePool") this.pool(node);
    else this.scale(node);
  }

  // -- places

  private keep(floats: number, fill: (memory: WebAssembly.Memory, at: number) => void): Buffer {
    const buffer = new Buffer(floats);
    this.kept.push({ buffer, fill });
    return buffer;
  }

  private keepNumbers(data: Float32Array): Buffer {
    return this.keep(data.length, (memory, at) => new Float32Array(memory.buffer, at, data.length).set(data));
  }

  private use(place: Place): void {
    place.buffer.touch(this.steps.length);
  }

  private find(name: string): Place {
    const place = this.places.get(name)!;
    this.use(place);
    return place;
  }

  /** Make room for a result. */
  private make(name: string): Place {
    const shape = this.shapes.get(name)!;
    const member = this.groups.member.get(name);
    const place = member
      ? { ...shape, buffer: this.bufferOf(member.group, pixelsOf(shape) * member.group.channels), skip: member.skip, step: member.group.channels }
      : { ...shape, buffer: this.bufferOf(name, pixelsOf(shape) * shape.channels), skip: 0, step: shape.channels };
    this.places.set(name, place);
    this.use(place);
    return place;
  }

  private bufferOf(owner: unknown, floats: number): Buffer {
    const buffer = this.shared.get(owner) ?? new Buffer(floats);
    this.shared.set(owner, buffer);
    this.passing.add(buffer);
    return buffer;
  }

  /** The only node that reads a tensor; null: several do, or it leaves the trunk. */
  private only(name: string): Node | null {
    const readers = this.readers.get(name) ?? [];
    return readers.length === 1 && !this.given.includes(name) ? readers[0] : null;
  }

  // -- steps

  /** A convolution, with the norm, the sum and the rectifier that follow it. */
  private convolve(node: Node): void {
    const input = this.taken.has(node.inputs[0]) ? null : this.find(node.inputs[0]);
    const kernel = this.weights.get(node.inputs[1])!;
    const bias = node.inputs[2] ? this.weights.get(node.inputs[2])!.data : null;
    let [name, relu] = [node.outputs[0], 0];
    let norm: Node | null = null;
    let added: Place | null = null;
    for (let next = this.only(name); next && !relu; next = this.only(name)) {
      const other = next.inputs.find((each) => each !== name) ?? name;
      if (next.op === "BatchNormalization" && !norm && !added) norm = next;
      else if (next.op === "Add" && !added && this.places.has(other)) added = this.find(other);
      else if (next.op === "Relu") relu = 1;
      else break;
      this.done.add(next);
      name = next.outputs[0];
    }
    const weights = folded(kernel, bias, norm && normOf(norm, this.weights));
    const window = windowOf(node, input ?? this.taken.get(node.inputs[0])!, kernel.dims.slice(2));
    if (input) this.convolution(input, window, packed(weights), weights.bias, this.make(name), added, relu);
    else {
      const rows = this.unfold(node.inputs[0], window, weights.depth * weights.taps);
      this.convolution(rows, POINT, packed(weights, rows.channels), weights.bias, this.make(name), added, relu);
    }
  }

  private convolution(input: Place, window: Window, weights: Float32Array, bias: Float32Array, out: Place, added: Place | null, relu: number): void {
    const taps = window.size[0] * window.size[1];
    const count = pixelsOf(out);
    const [table, pitch] = this.table(input, out, window, this.nothing);
    const [kernel, shifts] = [this.keepNumbers(weights), this.keepNumbers(bias)];
    const bytes = 4 * taps * input.channels;
    const chunk = CHANNELS * Math.max(1, Math.floor(NEAR / (CHANNELS * bytes)));
    this.steps.push(() => {
      for (let from = 0; from < out.channels; from += chunk) {
        const channels = Math.min(chunk, out.channels - from);
        const to = out.buffer.at + 4 * (out.skip + from);
        const plus = added ? added.buffer.at + 4 * (added.skip + from) : 0;
        this.kernels.convolve(table.at, pitch, taps, input.channels, kernel.at + bytes * from, shifts.at + 4 * from, channels,
          to, 4 * out.step, plus, 4 * (added?.step ?? 0), relu, 0, count);
      }
    });
  }

  /** Write what each result of a first convolution needs into a row, from an image whose channels come first. */
  private unfold(name: string, window: Window & { height: number; width: number }, depth: number): Place {
    const input = this.taken.get(name)!;
    const channels = up(depth, DEPTH);
    const shape = { images: input.images, height: window.height, width: window.width, channels };
    const place: Place = { ...shape, buffer: this.bufferOf({}, pixelsOf(shape) * channels), skip: 0, step: channels };
    this.use(place);
    this.steps.push(() => unfold(this.inputs.get(name)!, input, window, this.floats, place));
    this.use(place);
    return place;
  }

  /** A norm or a rectifier that follows no convolution. */
  private scale(node: Node): void {
    const input = this.find(node.inputs[0]);
    const { channels } = input;
    const norm = node.op === "BatchNormalization" ? normOf(node, this.weights) : null;
    let [name, relu] = [node.outputs[0], node.op === "Relu" ? 1 : 0];
    const next = this.only(name);
    if (norm && next?.op === "Relu") {
      this.done.add(next);
      [name, relu] = [next.outputs[0], 1];
    }
    const factors = this.keepNumbers(norm?.factors ?? new Float32Array(channels).fill(1));
    const shifts = this.keepNumbers(norm?.shifts ?? new Float32Array(channels));
    const out = this.make(name);
    this.steps.push(() => {
      const [from, to] = [input.buffer.at + 4 * input.skip, out.buffer.at + 4 * out.skip];
      this.kernels.scale(from, 4 * input.step, to, 4 * out.step, factors.at, shifts.at, channels, relu, pixelsOf(out));
    });
  }

  private add(node: Node): void {
    const [one, two] = node.inputs.map((name) => this.find(name));
    const out = this.make(node.outputs[0]);
    this.steps.push(() => {
      let [a, b, to] = [one, two, out].map((place) => place.buffer.at / 4 + place.skip);
      for (let pixel = pixelsOf(out); pixel > 0; pixel--, a += one.step, b += two.step, to += out.step) {
        for (let i = 0; i < out.channels; i++) this.floats[to + i] = this.floats[a + i] + this.floats[b + i];
      }
    });
  }

  /** Nothing to do for what lies side by side already. */
  private join(node: Node): void {
    const name = node.outputs[0];
    const group = this.groups.joined.get(name)!;
    const shape = this.shapes.get(name)!;
    const buffer = this.bufferOf(group, pixelsOf(shape) * group.channels);
    const whole: Place = { ...shape, buffer, skip: 0, step: group.channels };
    let skip = 0;
    for (const part of group.members) {
      const { channels } = this.shapes.get(part)!;
      if (skip + channels > shape.channels) break;
      const lies = this.groups.member.get(part)!;
      if (lies.group !== group || lies.skip !== skip) this.copy(this.find(part), { ...whole, skip, channels });
      skip += channels;
    }
    this.places.set(name, whole);
    this.use(whole);
  }

  private copy(from: Place, to: Place): void {
    this.use(to);
    this.steps.push(() => {
      let [a, b] = [from, to].map((place) => place.buffer.at / 4 + place.skip);
      for (let pixel = pixelsOf(to); pixel > 0; pixel--, a += from.step, b += to.step) this.floats.copyWithin(b, a, a + to.channels);
    });
  }

  private pool(node: Node): void {
    const input = this.find(node.inputs[0]);
    const out = this.make(node.outputs[0]);
    const window = windowOf(node, input);
    const taps = window.size[0] * window.size[1];
    const mean = node.op === "AveragePool";
    const margin = window.before[0] + window.before[1] > 0;
    if (taps < 2 || (mean && margin && !node.attributes.get("count_include_pad")?.int)) throw new Unsupported("a mean over what lies inside");
    const [table, pitch] = this.table(input, out, window, mean ? this.nothing : null);
    const factor = this.keepNumbers(new Float32Array(4).fill(mean ? 1 / taps : 1));
    this.steps.push(() => {
      const work = mean ? this.kernels.sum : this.kernels.largest;
      work(table.at, pitch, taps, out.channels, out.buffer.at + 4 * out.skip, 4 * out.step, factor.at, pixelsOf(out));
    });
  }

  /** Keep where each tap of each result lies. Beyond the image lies `nothing`; null: what the window has inside. */
  private table(input: Place, out: Place, window: Window, nothing: Buffer | null): [Buffer, number] {
    const pitch = up(pixelsOf(out), PIXELS);
    const size = window.size[0] * window.size[1] * pitch;
    return [this.keep(size, (memory, at) => fillTable(new Uint32Array(memory.buffer, at, size), input, out, window, nothing)), pitch];
  }
}

const POINT: Window = { size: [1, 1], strides: [1, 1], before: [0, 0], spread: [1, 1] };

function fillTable(table: Uint32Array, input: Place, out: Place, { size, strides, before, spread }: Window, nothing: Buffer | null): void {
  const taps = size[0] * size[1];
  const pitch = table.length / taps;
  const start = input.buffer.at + 4 * input.skip;
  table.fill(nothing?.at ?? start);
  for (let tap = 0; tap < taps; tap++) {
    const [down, across] = [Math.floor(tap / size[1]) * spread[0] - before[0], (tap % size[1]) * spread[1] - before[1]];
    let at = tap * pitch;
    for (let image = 0; image < out.images; image++) {
      for (let y = 0; y < out.height; y++) {
        for (let x = 0; x < out.width; x++, at++) {
          const [row, column] = [y * strides[0] + down, x * strides[1] + across];
          const [near, beside] = [within(row, input.height, spread[0]), within(column, input.width, spread[1])];
          if (nothing && (near !== row || beside !== column)) continue;
          table[at] = start + 4 * input.step * ((image * input.height + near) * input.width + beside);
        }
      }
    }
  }
}

/** The nearest tap of the same window that lies inside. */
function within(place: number, side: number, spread: number): number {
  if (place < 0) return place + spread * Math.ceil(-place / spread);
  return place < side ? place : place - spread * Math.ceil((place - side + 1) / spread);
}

function unfold(from: Float32Array, input: Shape, { size, strides, before, spread }: Window, floats: Float32Array, rows: Place): void {
  let start = rows.buffer.at / 4;
  floats.fill(0, start, start + pixelsOf(rows) * rows.step);
  for (let image = 0; image < rows.images; image++) {
    for (let y = 0; y < rows.height; y++) {
      for (let x = 0; x < rows.width; x++, start += rows.step) {
        let to = start;
        for (let plane = image * input.channels; plane < (image + 1) * input.channels; plane++) {
          for (let i = 0; i < size[0]; i++, to += size[1]) {
            const row = y * strides[0] - before[0] + i * spread[0];
            if (row < 0 || row >= input.height) continue;
            const base = (plane * input.height + row) * input.width;
            for (let j = 0, column = x * strides[1] - before[1]; j < size[1]; j++, column += spread[1]) {
              if (column >= 0 && column < input.width) floats[to + j] = from[base + column];
            }
          }
        }
      }
    }
  }
}
