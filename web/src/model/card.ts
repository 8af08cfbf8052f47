/** What the viewer reads of a bundle's card (as `lucidray.bundle.card`). */
import { BundleError } from "../errors";

export interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
  count: number;
}

export interface Preprocessing {
  size: number;
  crop: [number, number, number, number] | null;
  fit: "squash" | "letterbox";
}

export interface UncertaintyRule {
  alpha: number;
  present_from: number[];
  absent_to: number[];
  score: "entropy" | "margin" | "mean_entropy" | "mean_margin";
  threshold: number;
  judged: string[];
}

/** How boxes that the model itself finds are shown. */
export interface BoxRule {
  detector: string;
  overlap: number;
  points: Record<string, { threshold: number; precision?: number | null; recall?: number | null }>;
}

export interface Card {
  name: string;
  summary: string;
  findings: { name: string; snomed: string | null; radlex: string | null }[];
  exclusive: boolean;
  task: "classification" | "segmentation";
  preprocessing: Preprocessing;
  network: string;
  map_shape: [number, number];
  explanation: string;
  weights_sha256: string;
  calibration: { method: string; fitted_on?: string };
  operating_points: Record<string, { threshold: number; chosen_by?: string; sensitivity?: Estimate | null; specificity?: Estimate | null }>;
  performance: { data: string; images: number; measurements: Record<string, Record<string, Estimate>> }[];
  uncertainty: UncertaintyRule | null;
  gate: { method: "quality" | "quality_and_likeness"; threshold: number } | null;
  boxes: BoxRule | null;
  gaze: { readers: string } | null;
  explanation_trust: Record<string, Estimate> | null;
  explanation_verdicts: Record<string, string>;
  precision: string;
  experimental: boolean;
  limits: string;
  intended_use: string;
  created: string;
  minimum_reader: number;
  /** What age, sex and view add to the answer; the viewer reads no such model. */
  metadata?: { coding?: { attributes?: string[] } } | null;
}

/** The version of the card's fields that this viewer knows. */
const KNOWN_VERSION = 1;

export function readCard(bytes: Uint8Array): Card {
  let card: Card;
  try {
    card = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new BundleError("card.json is no card. Get the bundle again.");
  }
  if (card.metadata) {
    const takes = (card.metadata.coding?.attributes ?? []).join(", ");
    throw new BundleError(`this model also takes what is known of the patient and the film (${takes}), which the browser does not read. Have it read on the server.`);
  }
  if (!(card.minimum_reader <= KNOWN_VERSION)) {
    throw new BundleError(`the model's card needs a reader of version ${card.minimum_reader}; this viewer knows ${KNOWN_VERSION}. Update LucidRay.`);
  }
  const needed: (keyof Card)[] = ["name", "findings", "preprocessing", "operating_points", "calibration", "weights_sha256"];
  const missing = needed.filter((key) => card[key] === undefined || card[key] === null);
  if (missing.length || !card.findings.length) throw new BundleError(`the model's card lacks ${missing.join(", ") || "findings"}. Get the bundle again.`);
  return { ...card, task: card.task ?? "classification", uncertainty: card.uncertainty ?? null, gate: card.gate ?? null, boxes: card.boxes ?? null, gaze: card.gaze ?? null };
}
