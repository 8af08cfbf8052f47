/** How large each tensor of a trunk is, and which of them lie side by side so that nothing has to be joined. */
import type { Node } from "./onnx";

/** Of pixels that hold their channels side by side. */
export interface Shape {
  images: number;
  height: number;
  width: number;
  channels: number;
}

/** The window of a convolution or of pooling. */
export interface Window {
  size: [number, number];
  strides: [number, number];
  /** Above and left of the image. */
  before: [number, number];
  spread: [number, number];
}

/** A node that the trunk cannot run. */
export class Unsupported extends Error {}

export interface Weights {
  dims: readonly number[];
  data: Float32Array;
}

const pair = (values: number[] | undefined, other: number): [number, number] => (values?.length === 2 ? [values[0], values[1]] : [other, other]);
const int = (node: Node, name: string) => node.attributes.get(name)?.int ?? 0;

/** Read the window of a node, and how large its result is. Throws Unsupported. */
export function windowOf(node: Node, input: Shape, kernel?: readonly number[]): Window & { height: number; width: number } {
  const ints = (name: string) => node.attributes.get(name)?.ints;
  const pads = ints("pads") ?? [0, 0, 0, 0];
  const automatic = node.attributes.get("auto_pad")?.text ?? "NOTSET";
  if (automatic !== "NOTSET" || int(node, "ceil_mode") || pads.length !== 4) throw new Unsupported(`${node.op} with other margins`);
  const size = pair(kernel ? [...kernel] : ints("kernel_shape"), 1);
  const [strides, spread] = [pair(ints("strides"), 1), pair(ints("dilations"), 1)];
  const sides = [input.height, input.width].map(
    (side, axis) => Math.floor((side + pads[axis] + pads[axis + 2] - spread[axis] * (size[axis] - 1) - 1) / strides[axis]) + 1,
  );
  return { size, strides, spread, before: [pads[0], pads[1]], height: sides[0], width: sides[1] };
}

/** Return the shape of everything that a trunk makes. Throws Unsupported where it could not make it. */
export function shapesOf(trunk: Node[], taken: Map<string, Shape>, weights: Map<string, Weights>): Map<string, Shape> {
  const shapes = new Map(taken);
  for (const node of trunk) shapes.set(node.outputs[0], shapeOf(node, shapes, taken, weights));
  return shapes;
}

function shapeOf(node: Node, shapes: Map<string, Shape>, taken: Map<string, Shape>, weights: Map<string, Weights>): Shape {
  const input = shapes.get(node.inputs[0])!;
  const whole = (channels: number, by: number) => {
    if (channels % by) throw new Unsupported(`${node.op} of ${channels} channels`);
    return channels;
  };
  if (node.op === "Conv") {
    const { dims } = weights.get(node.inputs[1])!;
    const groups = node.attributes.get("group")?.int ?? 1;
    if (groups !== 1 || dims.length !== 4) throw new Unsupported("a convolution in groups");
    if (!taken.has(node.inputs[0])) whole(dims[1], 4);
    const { height, width } = windowOf(node, input, dims.slice(2));
    return { ...input, height, width, channels: whole(dims[0], 8) };
  }
  if (node.op === "MaxPool" || node.op === "AveragePool") return { ...input, ...pick(windowOf(node, input)) };
  if (node.op === "Concat") {
    if (int(node, "axis") !== 1) throw new Unsupported("Concat along another axis");
    return { ...input, channels: node.inputs.reduce((sum, name) => sum + whole(shapes.get(name)!.channels, 4), 0) };
  }
  if (node.op === "Add") {
    const two = shapes.get(node.inputs[1]);
    if (!two || two.channels !== input.channels || two.height !== input.height || two.width !== input.width) throw new Unsupported("Add");
  }
  whole(input.channels, 4);
  return input;
}

const pick = ({ height, width }: { height: number; width: number }) => ({ height, width });

/** Tensors that lie side by side: where each begins, and how many channels they have together. */
export interface Group {
  members: string[];
  channels: number;
}

export interface Groups {
  /** Of a tensor that is made: the group in which it lies, and after how many channels. */
  member: Map<string, { group: Group; skip: number }>;
  /** Of what a Concat makes: the group of which it is the beginning. */
  joined: Map<string, Group>;
}

/** Lay what is joined side by side; lists that begin alike, as those of a dense block do, share one place. */
export function groupsOf(trunk: Node[], shapes: Map<string, Shape>): Groups {
  const parts = new Map<string, string[]>();
  for (const { op, inputs, outputs } of trunk) {
    if (op === "Concat") parts.set(outputs[0], inputs.flatMap((name) => parts.get(name) ?? [name]));
  }
  const found: Groups = { member: new Map(), joined: new Map() };
  const groups: Group[] = [];
  const channelsOf = (members: string[]) => members.reduce((sum, name) => sum + shapes.get(name)!.channels, 0);
  for (const [name, members] of [...parts].sort(([, one], [, two]) => two.length - one.length)) {
    let group = groups.find((each) => members.every((member, i) => each.members[i] === member));
    if (!group) {
      group = { members, channels: channelsOf(members) };
      groups.push(group);
      members.forEach((member, i) => {
        if (!found.member.has(member)) found.member.set(member, { group: group!, skip: channelsOf(members.slice(0, i)) });
      });
    }
    found.joined.set(name, group);
  }
  return found;
}
