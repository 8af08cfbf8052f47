/** A decoded radiograph: what was stored, and how it becomes light. */

export type WindowFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

/** A window, in units of the values after the Modality transform. */
export interface Window {
  center: number;
  width: number;
  fn: WindowFunction;
}

/** One way of showing the film that its file names. */
export interface Preset {
  label: string;
  window: Window | null;
  /** Intensity in [0, 1] of each bit pattern, before inversion, where it is no window. */
  table: Float32Array | null;
}

/** Distance of neighboring pixel centers. */
export interface Spacing {
  row: number;
  column: number;
  /** Where it holds: on the detector, or corrected to the patient. */
  kind: "detector" | "patient";
  /** How it was calibrated, or the estimated magnification, in the file's words. */
  note: string;
}

export interface Film {
  width: number;
  height: number;
  /** Bit patterns of the stored values, `width * height`, each below `2 ** bits`. */
  pattern: Uint8Array | Uint16Array;
  bits: number;
  signed: boolean;
  /** Value after the Modality transform of each bit pattern. */
  values: Float64Array;
  /** 1 where a bit pattern is padding. */
  padding: Uint8Array | null;
  /** Whether the smallest value is white. */
  inverted: boolean;
  /** Display intensity of each bit pattern as the file asks for it: also what a model is given. */
  table: Float32Array;
  presets: Preset[];
  spacing: Spacing | null;
  view: string | null;
  laterality: string | null;
  sourceBits: number;
  lossy: boolean;
  format: "png" | "jpeg" | "tiff" | "dicom";
  /** Digest of the file's bytes. */
  sha256: string;
}

/** Display intensity of every pixel, float32 in [0, 1], bone bright: equal to `read_xray(...).pixels`. */
export function displayIntensity(film: Film): Float32Array {
  const { pattern, table } = film;
  const pixels = new Float32Array(pattern.length);
  for (let i = 0; i < pattern.length; i++) pixels[i] = table[pattern[i]];
  return pixels;
}
