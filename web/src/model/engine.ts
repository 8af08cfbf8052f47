/** Models on the processor, one thread: ONNX Runtime from this site's own file, and loops of our own for convolutions. */
import * as ort from "onnxruntime-web/wasm";
import { splitModel, type Split } from "../engine/split";
import { Trunk } from "../engine/trunk";
import { BundleError, messageOf } from "../errors";
import { inflate, startsWith } from "../pixels/bytes";
import { extras, type Answer } from "./reference";
import type { Plane } from "./resample";

export const ENGINE = `onnxruntime-web ${ort.env.versions.web ?? ""}`.trim();

/** What a reading says that it was made by, where the convolutions are ours. */
export const WITH_LOOPS = `${ENGINE} with unrolled convolutions`;

const OUTPUTS = ["logits", "probabilities", "maps", "embedding"] as const;

/** Give ONNX Runtime its engine: wasm as it is, or compressed with gzip. */
export async function prepare(engine: Uint8Array): Promise<void> {
  const wasm = startsWith(engine, 0x1f, 0x8b) ? await inflate(engine, "gzip") : engine;
  if (!startsWith(wasm, 0, 0x61, 0x73, 0x6d)) throw new BundleError("the inference engine's file is damaged. Reload the page.");
  ort.env.wasm.wasmBinary = wasm.slice().buffer;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
}

type Tensors = Record<string, ort.Tensor>;

/** A network that answers for one film at a time. */
export interface Network {
  engine: string;
  run(film: Plane): Promise<Answer>;
  close(): Promise<void>;
}

/** Load a model into ONNX Runtime. */
export async function loadNetwork(model: Uint8Array): Promise<Network> {
  try {
    return await Whole.load(model);
  } catch (error) {
    throw new BundleError(`this browser cannot run the model (${messageOf(error)}). Use another browser, or reading on the server.`);
  }
}

/** Load a model whose convolutions are run by our own loops; null: they do not know it. */
export async function loadWithLoops(model: Uint8Array): Promise<Network | null> {
  try {
    const split = splitModel(model);
    return split && (await Parts.load(split));
  } catch {
    return null;
  }
}

function open(model: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    enableMemPattern: true,
    logSeverityLevel: 3,
  });
}

const tensorOf = ({ width, height, data }: Plane) => new ort.Tensor("float32", data, [1, 1, height, width]);

function answerOf(found: Tensors): Answer {
  const [logits, probabilities, maps, embedding] = OUTPUTS.map((name) => found[name].data as Float32Array);
  const optional = (name: string) => (found[name] ? { shape: found[name].dims, data: found[name].data as Float32Array } : null);
  return { logits, probabilities, maps, embedding, ...extras(optional("boxes"), optional("box_scores"), optional("gaze")) };
}

/** The whole graph in ONNX Runtime. */
class Whole implements Network {
  readonly engine = ENGINE;

  private constructor(private readonly session: ort.InferenceSession) {}

  static async load(model: Uint8Array): Promise<Whole> {
    return new Whole(await open(model));
  }

  async run(film: Plane): Promise<Answer> {
    return answerOf((await this.session.run({ image: tensorOf(film) })) as Tensors);
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

/** What comes before and after the convolutions in ONNX Runtime, the convolutions in loops of our own. */
class Parts implements Network {
  readonly engine = WITH_LOOPS;

  private constructor(
    private readonly split: Split,
    private readonly trunk: Trunk,
    private readonly before: ort.InferenceSession | null,
    private readonly after: ort.InferenceSession,
  ) {}

  static async load(split: Split): Promise<Parts> {
    const computed = new Map();
    if (split.weights) {
      const session = await open(split.weights);
      for (const [name, { dims, data }] of Object.entries(await session.run({}))) computed.set(name, { dims, data: (data as Float32Array).slice() });
      await session.release();
    }
    const before = split.before && (await open(split.before));
    return new Parts(split, new Trunk(split, computed), before, await open(split.after));
  }

  async run(film: Plane): Promise<Answer> {
    const image = tensorOf(film);
    const begun: Tensors = { image, ...(this.before && (await this.before.run({ image }))) };
    const taken = new Map(this.split.taken.map((name) => [name, valuesOf(begun[name])]));
    const made = this.trunk.run(taken);
    const feeds: Tensors = {};
    for (const [name, { dims, data }] of made) feeds[name] = new ort.Tensor("float32", data, [...dims]);
    for (const name of this.after.inputNames) feeds[name] ??= begun[name];
    return answerOf((await this.after.run(feeds)) as Tensors);
  }

  async close(): Promise<void> {
    await this.before?.release();
    await this.after.release();
  }
}

const valuesOf = ({ dims, data }: ort.Tensor) => ({ dims, data: data as Float32Array });
