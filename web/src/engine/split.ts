/** Takes a graph apart: what comes before the convolutions, the convolutions, and what is made of them. */
import { readGraph, writePart, type Graph, type Node } from "./onnx";

/** Operators that the trunk runs, with what it can do of each (`plan.ts`). */
const OPERATORS = new Set(["Conv", "BatchNormalization", "Relu", "Concat", "MaxPool", "AveragePool", "Add"]);

/** With fewer convolutions than these the trunk is not where the time goes. */
const FEWEST = 4;

export interface Split {
  graph: Graph;
  /** The nodes of the trunk, in an order in which they can be run. */
  trunk: Node[];
  /** What the trunk takes from before it, and what is used of it afterwards. */
  taken: string[];
  given: string[];
  /** Weights of the trunk that the graph computes: their names, and the model that computes them. */
  computed: string[];
  weights: Uint8Array | null;
  before: Uint8Array | null;
  after: Uint8Array;
}

/** Take a model apart, or return null where it is of another kind. */
export function splitModel(model: Uint8Array): Split | null {
  const graph = readGraph(model);
  if (graph.nodes.some((node) => node.special) || graph.inputs.size !== 1) return null;
  const fixed = fixedNames(graph);
  const { trunk, taken } = findTrunk(graph, fixed);
  if (trunk.filter((node) => node.op === "Conv").length < FEWEST) return null;
  const made = new Set(trunk.flatMap((node) => node.outputs));
  const inTrunk = new Set(trunk);
  const others = graph.nodes.filter((node) => !inTrunk.has(node));
  const given = [...new Set(others.flatMap((node) => node.inputs).filter((name) => made.has(name)))];
  if (!given.length) return null;
  const computed = weightNames(trunk).filter((name) => !graph.constants.get(name)?.data);
  const inputs = new Set(graph.inputs.keys());
  const before = taken.filter((name) => !inputs.has(name));
  return {
    graph,
    trunk,
    taken,
    given,
    computed,
    weights: computed.length ? writePart(graph, computed, new Set()) : null,
    before: before.length ? writePart(graph, before, new Set()) : null,
    after: writePart(graph, [...graph.outputs.keys()], new Set(given)),
  };
}

/** Names of what does not depend on the film. */
function fixedNames(graph: Graph): Set<string> {
  const fixed = new Set([...graph.constants.keys(), ""]);
  for (const node of graph.nodes) {
    if (node.inputs.every((name) => fixed.has(name))) node.outputs.forEach((name) => fixed.add(name));
  }
  return fixed;
}

function findTrunk(graph: Graph, fixed: Set<string>): { trunk: Node[]; taken: string[] } {
  const trunk: Node[] = [];
  const made = new Set<string>();
  const after = new Set<string>();
  const taken = new Set<string>();
  for (const node of graph.nodes) {
    const moving = node.inputs.filter((name) => !fixed.has(name));
    const first = node.op === "Conv" && moving.length === 1 && !made.has(moving[0]) && !after.has(moving[0]);
    const inside = moving.length > 0 && moving.every((name) => made.has(name));
    const known = OPERATORS.has(node.op) && node.outputs.length === 1 && !graph.outputs.has(node.outputs[0]);
    if (known && (first || inside)) {
      if (first) taken.add(moving[0]);
      trunk.push(node);
      made.add(node.outputs[0]);
    } else if (moving.some((name) => made.has(name) || after.has(name))) node.outputs.forEach((name) => after.add(name));
  }
  return { trunk, taken: [...taken] };
}

/** Names of the inputs that have to be known before the first film. */
function weightNames(trunk: Node[]): string[] {
  const wanted = trunk.filter((node) => node.op === "Conv" || node.op === "BatchNormalization");
  return [...new Set(wanted.flatMap((node) => node.inputs.slice(1).filter(Boolean)))];
}
