/** As much of ONNX's protobuf as is needed to take a graph apart and to write a part of it as a model. */
import { joined } from "../pixels/bytes";

export interface Attribute {
  ints: number[];
  int: number;
  float: number;
  text: string;
}

export interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  /** Whether it holds a graph of its own or belongs to another operator set. */
  special: boolean;
  raw: Uint8Array;
}

export interface Constant {
  dims: number[];
  /** Null where it is no plain float32. */
  data: Float32Array | null;
  raw: Uint8Array;
}

export interface Graph {
  nodes: Node[];
  constants: Map<string, Constant>;
  inputs: Map<string, Uint8Array>;
  outputs: Map<string, Uint8Array>;
  /** Everything of the model but its graph, as it stood. */
  around: Uint8Array[];
}

/** Numbers of the fields in onnx.proto. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, name: 2, constant: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, op: 4, attribute: 5, domain: 7 };
const ATTRIBUTE = { name: 1, float: 2, int: 3, text: 4, graph: 6, ints: 8, graphs: 11 };
const TENSOR = { dims: 1, type: 2, floats: 4, name: 8, raw: 9 };
const FLOAT = 1;

interface Field {
  number: number;
  /** Of a varint. */
  value: number;
  /** Of everything else. */
  bytes: Uint8Array;
  raw: Uint8Array;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const text = (bytes: Uint8Array) => decoder.decode(bytes);

/** Read the fields of a message. Throws a RangeError where it ends too early. */
function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    const start = at;
    const tag = varint(message, at);
    at = tag.next;
    const [number, wire] = [tag.value >>> 3, tag.value & 7];
    let value = 0;
    let size = wire === 1 ? 8 : wire === 5 ? 4 : 0;
    if (wire === 0 || wire === 2) {
      const read = varint(message, at);
      [value, at] = [read.value, read.next];
      if (wire === 2) size = value;
    } else if (!size) throw new RangeError("an unknown kind of field");
    if (at + size > message.length) throw new RangeError("it ends within a field");
    yield { number, value, bytes: message.subarray(at, at + size), raw: message.subarray(start, at + size) };
    at += size;
  }
}

function varint(bytes: Uint8Array, at: number): { value: number; next: number } {
  let low = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (at >= bytes.length || shift > 63n) throw new RangeError("it ends within a number");
    const byte = bytes[at++];
    low |= BigInt(byte & 127) << shift;
    if (byte < 128) return { value: Number(BigInt.asIntN(64, low)), next: at };
  }
}

function numbersOf(field: Field): number[] {
  if (!field.bytes.length) return [field.value];
  const found = [];
  for (let at = 0; at < field.bytes.length; ) {
    const read = varint(field.bytes, at);
    found.push(read.value);
    at = read.next;
  }
  return found;
}

export function readGraph(model: Uint8Array): Graph {
  const graph: Graph = { nodes: [], constants: new Map(), inputs: new Map(), outputs: new Map(), around: [] };
  for (const part of fieldsOf(model)) {
    if (part.number !== MODEL_GRAPH) graph.around.push(part.raw);
    else for (const field of fieldsOf(part.bytes)) readPart(graph, field);
  }
  return graph;
}

function readPart(graph: Graph, { number, bytes }: Field): void {
  if (number === GRAPH.node) graph.nodes.push(readNode(bytes));
  else if (number === GRAPH.input) graph.inputs.set(nameOf(bytes), bytes);
  else if (number === GRAPH.output) graph.outputs.set(nameOf(bytes), bytes);
  else if (number === GRAPH.constant) {
    const [name, constant] = readConstant(bytes);
    graph.constants.set(name, constant);
  }
}

function nameOf(valueInfo: Uint8Array): string {
  for (const field of fieldsOf(valueInfo)) if (field.number === 1) return text(field.bytes);
  return "";
}

function readNode(raw: Uint8Array): Node {
  const node: Node = { op: "", inputs: [], outputs: [], attributes: new Map(), special: false, raw };
  for (const { number, bytes } of fieldsOf(raw)) {
    if (number === NODE.input) node.inputs.push(text(bytes));
    else if (number === NODE.output) node.outputs.push(text(bytes));
    else if (number === NODE.op) node.op = text(bytes);
    else if (number === NODE.domain) node.special ||= bytes.length > 0;
    else if (number === NODE.attribute) node.special = readAttribute(bytes, node.attributes) || node.special;
  }
  return node;
}

/** Read an attribute, and return whether it is a graph. */
function readAttribute(message: Uint8Array, into: Map<string, Attribute>): boolean {
  const found: Attribute = { ints: [], int: 0, float: 0, text: "" };
  let name = "";
  let special = false;
  for (const field of fieldsOf(message)) {
    if (field.number === ATTRIBUTE.name) name = text(field.bytes);
    else if (field.number === ATTRIBUTE.int) found.int = field.value;
    else if (field.number === ATTRIBUTE.float) found.float = new DataView(field.bytes.slice().buffer).getFloat32(0, true);
    else if (field.number === ATTRIBUTE.text) found.text = text(field.bytes);
    else if (field.number === ATTRIBUTE.ints) found.ints.push(...numbersOf(field));
    else if (field.number === ATTRIBUTE.graph || field.number === ATTRIBUTE.graphs) special = true;
  }
  into.set(name, found);
  return special;
}

function readConstant(raw: Uint8Array): [string, Constant] {
  const dims: number[] = [];
  let [name, type] = ["", 0];
  let values: Uint8Array | null = null;
  for (const field of fieldsOf(raw)) {
    if (field.number === TENSOR.dims) dims.push(...numbersOf(field));
    else if (field.number === TENSOR.type) type = field.value;
    else if (field.number === TENSOR.name) name = text(field.bytes);
    else if (field.number === TENSOR.raw || field.number === TENSOR.floats) values = field.bytes;
  }
  const count = dims.reduce((product, side) => product * side, 1);
  const plain = type === FLOAT && values?.length === 4 * count;
  return [name, { dims, data: plain ? new Float32Array(values!.slice().buffer) : null, raw }];
}

/** Write the part of a graph that leads to `targets` as a model, taking `given` as inputs of four dimensions. */
export function writePart(graph: Graph, targets: string[], given: Set<string>): Uint8Array {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const wanted = new Set<Node>();
  const constants = new Set<string>();
  const inputs = new Map<string, Uint8Array>();
  const open = [...targets];
  while (open.length) {
    const name = open.pop()!;
    if (given.has(name)) inputs.set(name, valueInfo(name, 4));
    else if (graph.constants.has(name)) constants.add(name);
    else if (graph.inputs.has(name)) inputs.set(name, graph.inputs.get(name)!);
    const node = given.has(name) ? undefined : producers.get(name);
    if (!node || wanted.has(node)) continue;
    wanted.add(node);
    open.push(...node.inputs.filter(Boolean));
  }
  const parts = [
    ...graph.nodes.filter((node) => wanted.has(node)).map((node) => field(GRAPH.node, node.raw)),
    field(GRAPH.name, encoder.encode("part")),
    ...[...constants].map((name) => field(GRAPH.constant, graph.constants.get(name)!.raw)),
    ...[...inputs.values()].map((info) => field(GRAPH.input, info)),
    ...targets.map((name) => field(GRAPH.output, graph.outputs.get(name) ?? valueInfo(name))),
  ];
  return joined([...graph.around, field(MODEL_GRAPH, joined(parts))]);
}

/** A float32 tensor, of so many unknown dimensions. */
function valueInfo(name: string, rank?: number): Uint8Array {
  const shape = rank === undefined ? [] : [field(2, joined(Array.from({ length: rank }, () => field(1, new Uint8Array()))))];
  const tensor = joined([Uint8Array.of(8, FLOAT), ...shape]);
  return joined([field(1, encoder.encode(name)), field(2, field(1, tensor))]);
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return joined([Uint8Array.from([...unsigned(number * 8 + 2), ...unsigned(bytes.length)]), bytes]);
}

/** A number as LEB128, which protobuf and WebAssembly share. */
export function unsigned(value: number): number[] {
  const found = [];
  for (let rest = value >>> 0; ; ) {
    const low = rest & 127;
    rest >>>= 7;
    found.push(rest ? low | 128 : low);
    if (!rest) return found;
  }
}
