/** Writes WebAssembly functions, so that loops can be unrolled for the processor without another compiler. */
import { unsigned } from "./onnx";

/** Opcodes; those above 0xfcff are of the SIMD set behind the prefix 0xfd. */
const PLAIN = {
  "i32.load": 0x28, "i32.const": 0x41, "i32.lt_s": 0x48, "i32.lt_u": 0x49, "i32.add": 0x6a, "i32.mul": 0x6c, "i32.shl": 0x74,
} as const;
const VECTOR = {
  "v128.load": 0, "v128.store": 11, "v128.const": 12, "i8x16.shuffle": 13, "f32x4.add": 228, "f32x4.mul": 230, "f32x4.max": 233, "f32x4.pmax": 235, "f32x4.relaxed_madd": 261,
} as const;

type Plain = keyof typeof PLAIN;
type Vector = keyof typeof VECTOR;

const I32 = 0x7f;
const V128 = 0x7b;
const EMPTY = 0x40;

/** The body of one function. Values lie on a stack; each method returns the function, so that lines read in order. */
export class Body {
  private readonly code: number[] = [];
  private readonly names = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly parameters: string[],
    private readonly integers: string[],
    private readonly vectors: string[],
  ) {
    for (const each of [...parameters, ...integers, ...vectors]) this.names.set(each, this.names.size);
  }

  private index(name: string): number[] {
    const found = this.names.get(name);
    if (found === undefined) throw new RangeError(`no local ${name}`);
    return unsigned(found);
  }

  get(...names: string[]): this {
    for (const name of names) this.code.push(0x20, ...this.index(name));
    return this;
  }

  set(name: string): this {
    this.code.push(0x21, ...this.index(name));
    return this;
  }

  /** Add an integer that stands on the stack to a local. */
  advance(name: string): this {
    return this.get(name).op("i32.add").set(name);
  }

  constant(value: number): this {
    this.code.push(PLAIN["i32.const"]);
    for (let rest = value | 0; ; ) {
      const low = rest & 127;
      rest >>= 7;
      const last = (rest === 0 && !(low & 64)) || (rest === -1 && (low & 64) !== 0);
      this.code.push(last ? low : low | 128);
      if (last) return this;
    }
  }

  op(...names: Plain[]): this {
    for (const name of names) this.code.push(PLAIN[name]);
    return this;
  }

  vector(...names: Vector[]): this {
    for (const name of names) this.code.push(0xfd, ...unsigned(VECTOR[name]));
    return this;
  }

  /** Load or store at the address on the stack, so many bytes further. */
  memory(name: "i32.load" | "v128.load" | "v128.store", offset = 0): this {
    if (name === "i32.load") this.op(name);
    else this.vector(name);
    this.code.push(2, ...unsigned(offset));
    return this;
  }

  zeros(): this {
    this.vector("v128.const").code.push(...new Array<number>(16).fill(0));
    return this;
  }

  /** Fill a vector with one of its own four numbers. */
  spread(lane: number, name: string): this {
    this.get(name, name).vector("i8x16.shuffle");
    for (let i = 0; i < 16; i++) this.code.push(4 * lane + (i % 4));
    return this;
  }

  /** Do `body` again until the condition on the stack at its end is zero. */
  repeat(body: () => void): this {
    this.code.push(0x03, EMPTY);
    body();
    this.code.push(0x0d, 0, 0x0b);
    return this;
  }

  /** Do `body` where the condition on the stack is not zero. */
  when(body: () => void): this {
    this.code.push(0x04, EMPTY);
    body();
    this.code.push(0x0b);
    return this;
  }

  bytes(): number[] {
    const locals = [[this.integers.length, I32], [this.vectors.length, V128]].filter(([count]) => count);
    const body = [...unsigned(locals.length), ...locals.flatMap(([count, type]) => [...unsigned(count), type]), ...this.code, 0x0b];
    return [...unsigned(body.length), ...body];
  }
}

/** Return the module of some functions of integers that return nothing, on a memory that it is given. */
export function moduleOf(functions: Body[]): Uint8Array<ArrayBuffer> {
  const named = (name: string) => [name.length, ...new TextEncoder().encode(name)];
  const types = functions.map(({ parameters }) => [0x60, ...unsigned(parameters.length), ...parameters.map(() => I32), 0]);
  const memory = [...named("env"), ...named("memory"), 2, 0, 1];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, [memory]),
    ...section(3, functions.map((_, i) => unsigned(i))),
    ...section(7, functions.map(({ name }, i) => [...named(name), 0, ...unsigned(i)])),
    ...section(10, functions.map((each) => each.bytes())),
  ]);
}

function section(number: number, entries: number[][]): number[] {
  const content = [...unsigned(entries.length), ...entries.flat()];
  return [number, ...unsigned(content.length), ...content];
}

