/** The convolutions of a model, run by loops of our own where it is of a kind that they know. */
import { Program, type Values } from "./program";
import type { Shape, Weights } from "./shapes";
import type { Split } from "./split";

export class Trunk {
  private program: Program | null = null;
  private shapes = "";
  private readonly weights: Map<string, Weights>;

  /** `computed`: the weights that the graph computes, by name. */
  constructor(private readonly split: Split, computed: Map<string, Weights>) {
    const constants = [...split.graph.constants].flatMap(([name, { dims, data }]) => (data ? [[name, { dims, data }] as const] : []));
    this.weights = new Map([...constants, ...computed]);
  }

  /** Run it on tensors of four dimensions, channels before rows. Throws Unsupported where no step exists for a node. */
  run(inputs: Map<string, Values>): Map<string, Values> {
    const shapes = new Map([...inputs].map(([name, { dims }]) => [name, shapeOf(dims)]));
    const key = JSON.stringify([...shapes.values()]);
    if (!this.program || key !== this.shapes) this.program = new Program(this.split.trunk, this.split.given, shapes, this.weights);
    this.shapes = key;
    return this.program.run(new Map([...inputs].map(([name, { data }]) => [name, data])));
  }
}

const shapeOf = ([images, channels, height, width]: readonly number[]): Shape => ({ images, channels, height, width });
