/** A bundle, ready to read films, and what it says of one. */
import { BundleError } from "../errors";
import type { Archive } from "./archive";
import { readCard, type Card } from "./card";
import { loadNetwork, loadWithLoops, type Network } from "./engine";
import { detectionsOf, type Detection } from "./detections";
import { readRule, refuse, type LikenessRule, type Refusal } from "./gate";
import { mapToGrid, wayOf, type Way } from "./geometry";
import { compare, readReference, type Reference, type SelfTest } from "./reference";
import type { Plane } from "./resample";
import { boxesOfMap, type Box } from "./spots";
import { applyRule } from "./uncertainty";

export interface FindingReading {
  name: string;
  logit: number;
  /** Calibrated where the card says so. */
  probability: number;
  threshold: number | null;
  /** Whether it reaches its operating point; null: it has none, or the image is refused. */
  positive: boolean | null;
  mayBePresent: boolean | null;
  mayBeAbsent: boolean | null;
  entropy: number | null;
  /** Raw and signed, `mapHeight * mapWidth`; null where refused. */
  map: Float32Array | null;
  boxes: Box[];
  /** What the model's own detector finds, the surest first. */
  detections: Detection[];
}

export interface ModelReading {
  digest: string;
  findings: FindingReading[];
  refusal: Refusal | null;
  refer: boolean | null;
  /** Where a reader would look; null: the model does not say, or the film is refused. */
  gaze: { width: number; height: number; data: Float32Array } | null;
  mapWidth: number;
  mapHeight: number;
  way: Way;
  engine: string;
  milliseconds: number;
}

/** Findings that are kinds of others, which they are not called without (`lucidray.findings`). */
export const KINDS: Record<string, string> = { "Bacterial Pneumonia": "Pneumonia", "Viral Pneumonia": "Pneumonia" };
/** Findings that are the absence of something: they have no boxes. */
export const ABSENCES = ["No Finding", "No Tumor", "Normal"];

export class Bundle {
  private constructor(
    readonly digest: string,
    readonly card: Card,
    private readonly network: Network,
    private readonly rule: LikenessRule | null,
    readonly selfTest: SelfTest,
  ) {}

  /** Check the card, load the graph, and refuse it where its own images do not come out. */
  static async load({ digest, members }: Archive): Promise<Bundle> {
    const member = (name: string) => {
      const bytes = members.get(name);
      if (!bytes) throw new BundleError(`the bundle has no ${name}; get it again.`);
      return bytes;
    };
    const card = readCard(member("card.json"));
    const rule = card.gate?.method === "quality_and_likeness" ? await readRule(member("gate.npz")) : null;
    const reference = await readReference(member("reference.npz"));
    const [network, selfTest] = await fastestThatPasses(member("model.onnx"), reference);
    return new Bundle(digest, card, network, rule, selfTest);
  }

  async read(image: Plane): Promise<ModelReading> {
    if (!this.selfTest.passed) throw new BundleError("the self-test failed in this browser: its answers are not used.");
    const begin = performance.now();
    const answer = await this.network.run(image);
    if (!answer.logits.every(Number.isFinite)) throw new BundleError("the model's answer is not finite: its weights are damaged.");
    const refusal = refuse(this.card.gate, this.rule, image, answer.embedding);
    const [mapHeight, mapWidth] = this.card.map_shape;
    const way = wayOf(image.width, image.height, this.card.preprocessing);
    const names = this.card.findings.map((each) => each.name);
    const unsure = this.uncertainty(answer.probabilities, names);
    const calls = this.calls(answer.probabilities, names, refusal !== null);
    const found = refusal ? [] : detectionsOf(answer.regions, this.card.boxes, names, way, image);
    const gaze = refusal ? null : answer.gaze && { ...answer.gaze, data: answer.gaze.data.slice() };
    const findings = names.map((name, i): FindingReading => {
      const map = refusal ? null : answer.maps.slice(i * mapWidth * mapHeight, (i + 1) * mapWidth * mapHeight);
      const boxed = map && calls[i] && !ABSENCES.includes(name) && map.every(Number.isFinite);
      return {
        name,
        logit: answer.logits[i],
        probability: answer.probabilities[i],
        threshold: this.card.operating_points[name]?.threshold ?? null,
        positive: calls[i],
        mayBePresent: unsure?.mayBePresent[i] ?? null,
        mayBeAbsent: unsure?.mayBeAbsent[i] ?? null,
        entropy: unsure?.entropy[i] ?? null,
        map,
        detections: found.filter((each) => each.finding === name),
        boxes: boxed ? spots(map, mapWidth, mapHeight, way, image) : [],
      };
    });
    const milliseconds = performance.now() - begin;
    return { digest: this.digest, findings, refusal, refer: unsure?.refer ?? null, gaze, mapWidth, mapHeight, way, engine: this.network.engine, milliseconds };
  }

  close(): Promise<void> {
    return this.network.close();
  }

  private uncertainty(probabilities: Float32Array, names: string[]) {
    const rule = this.card.uncertainty;
    if (!rule) return null;
    const points = Object.fromEntries(Object.entries(this.card.operating_points).map(([name, point]) => [name, point.threshold]));
    return applyRule(rule, probabilities, names, points, this.card.exclusive);
  }

  private calls(probabilities: Float32Array, names: string[], refused: boolean): (boolean | null)[] {
    const call = (name: string): boolean | null => {
      const point = this.card.operating_points[name];
      if (!point || refused) return null;
      const above = this.card.exclusive ? undefined : KINDS[name];
      if (above && names.includes(above) && call(above) === false) return false;
      return probabilities[names.indexOf(name)] >= Math.fround(point.threshold);
    };
    return names.map(call);
  }
}

/** Run convolutions in our own loops where they know the model and give its own answers, else in ONNX Runtime. */
async function fastestThatPasses(model: Uint8Array, reference: Reference): Promise<[Network, SelfTest]> {
  const ours = await loadWithLoops(model);
  const tried = ours && (await selfTestOf(ours, reference).catch(() => null));
  if (ours && tried?.passed) return [ours, tried];
  await ours?.close();
  const network = await loadNetwork(model);
  return [network, await selfTestOf(network, reference)];
}

async function selfTestOf(network: Network, reference: Reference): Promise<SelfTest> {
  const answers = [];
  for (const image of reference.images) answers.push(await network.run(image));
  return compare(reference, answers, network.engine);
}

function spots(map: Float32Array, mapWidth: number, mapHeight: number, way: Way, film: Plane): Box[] {
  const values = mapToGrid(map, mapWidth, mapHeight, way, film, film.width, film.height);
  return boxesOfMap(values, film.width, film.height);
}
