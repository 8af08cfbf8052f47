/** Reading a radiograph from the bytes of a PNG, JPEG, TIFF or DICOM file, told apart by content. */
import { FilmError } from "../errors";
import { startsWith } from "./bytes";
import { readDicom } from "./dicom";
import { fullRange, storedValues } from "./display";
import type { Film } from "./film";
import type { Samples } from "./grey";
import { isDicom } from "./header";
import { readJpeg } from "./jpeg";
import { readPng } from "./png";
import { sha256 } from "./sha256";
import { readTiff } from "./tiff";

/** More pixels than this are refused before decoding (as `lucidray.images.read`). */
export const MAX_PIXELS = 80_000_000;

const FOREIGN: [string, number[]][] = [
  ["a TIFF file above 4 GB's layout, which the browser does not read", [0x49, 0x49]],
  ["a TIFF file above 4 GB's layout, which the browser does not read", [0x4d, 0x4d, 0]],
  ["a GIF picture", [0x47, 0x49, 0x46, 0x38]],
  ["a BMP picture", [0x42, 0x4d]],
  ["a WebP picture or a sound", [0x52, 0x49, 0x46, 0x46]],
  ["a PDF document", [0x25, 0x50, 0x44, 0x46]],
  ["a ZIP archive", [0x50, 0x4b]],
  ["a gzip archive", [0x1f, 0x8b]],
  ["a web page or XML", [0x3c]],
];

export async function readFilm(data: Uint8Array, maxPixels = MAX_PIXELS): Promise<Film> {
  if (!data.length) throw new FilmError("the file is empty.");
  const digest = await sha256(data);
  if (isDicom(data)) return readDicom(data, digest, maxPixels);
  if (startsWith(data, 0x89, 0x50, 0x4e, 0x47)) {
    const { width, height, stored, white, bits } = await readPng(data, maxPixels);
    return picture({ width, height, stored, white, bits }, "png", digest);
  }
  if (startsWith(data, 0xff, 0xd8, 0xff)) {
    const { width, height, stored, precision } = readJpeg(data, maxPixels);
    return picture({ width, height, stored, white: 2 ** precision - 1, bits: precision }, "jpeg", digest);
  }
  if (startsWith(data, 0x49, 0x49, 42, 0) || startsWith(data, 0x4d, 0x4d, 0, 42)) {
    return picture(await readTiff(data, maxPixels), "tiff", digest);
  }
  const known = FOREIGN.find(([, signature]) => startsWith(data, ...signature));
  throw new FilmError(known ? `it is ${known[0]}; expected PNG, JPEG, TIFF or DICOM.` : "it is not an image that is known here; expected PNG, JPEG, TIFF or DICOM.");
}

interface Plain {
  width: number;
  height: number;
  stored: Samples;
  white: number;
  bits: number;
}

/** Pictures are taken as they are: stored value by white. */
function picture({ width, height, stored, white, bits }: Plain, format: "png" | "jpeg" | "tiff", sha256: string): Film {
  const depth = white > 255 ? Math.ceil(Math.log2(white + 1)) : 8;
  const values = storedValues(depth, false);
  return {
    width, height, pattern: stored, bits: depth, signed: false, values, padding: null, inverted: false,
    table: Float32Array.from(values, (value) => Math.fround(value / white)),
    presets: [{ label: "As stored", window: fullRange([0, white]), table: null }],
    spacing: null, view: null, laterality: null, sourceBits: bits, lossy: format === "jpeg", format, sha256,
  };
}
