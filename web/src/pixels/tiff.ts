/** TIFF files of one grey page, 8 or 16 bits, in strips or tiles: as they are, LZW, Deflate, PackBits. */
import { FilmError } from "../errors";
import { inflate } from "./bytes";
import type { Samples } from "./grey";
import { tooLarge, type Picture } from "./png";

const PLAIN = 1, LZW = 5, DEFLATE = 8, OLD_DEFLATE = 32946, PACKBITS = 32773;
const SIZES: Record<number, number> = { 1: 1, 3: 2, 4: 4 };

interface Layout {
  width: number;
  height: number;
  bits: number;
  compression: number;
  predictor: number;
  inverted: boolean;
  /** Width and height of a piece, and where the pieces lie in the file. */
  piece: [number, number];
  offsets: number[];
  counts: number[];
}

export async function readTiff(data: Uint8Array, maxPixels: number): Promise<Picture> {
  const little = data[0] === 0x49;
  const layout = layoutOf(fieldsOf(data, little), data.length, maxPixels);
  const { width, height, bits, piece: [wide, high] } = layout;
  const across = Math.ceil(width / wide);
  if (layout.offsets.length < across * Math.ceil(height / high)) throw damaged();
  const stored: Samples = bits === 16 ? new Uint16Array(width * height) : new Uint8Array(width * height);
  for (let index = 0; index < layout.offsets.length; index++) {
    const left = (index % across) * wide;
    const top = Math.floor(index / across) * high;
    if (top >= height) break;
    const rows = wide === width ? Math.min(high, height - top) : high;
    const samples = await samplesOf(data, layout, index, rows, little);
    for (let row = 0; row < Math.min(high, height - top); row++) {
      const part = samples.subarray(row * wide, row * wide + Math.min(wide, width - left));
      stored.set(part, (top + row) * width + left);
    }
  }
  const white = 2 ** bits - 1;
  if (layout.inverted) for (let place = 0; place < stored.length; place++) stored[place] = white - stored[place];
  return { width, height, stored, white, bits };
}

function damaged(): FilmError {
  return new FilmError("damaged or truncated TIFF file: its pixels cannot be decoded to the end.");
}

function fieldsOf(data: Uint8Array, little: boolean): Map<number, number[]> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const fields = new Map<number, number[]>();
  try {
    const at = view.getUint32(4, little);
    const count = view.getUint16(at, little);
    for (let entry = at + 2; entry < at + 2 + 12 * count; entry += 12) {
      const size = SIZES[view.getUint16(entry + 2, little)];
      const values = view.getUint32(entry + 4, little);
      if (!size || values > 1_000_000) continue;
      const from = size * values > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      fields.set(view.getUint16(entry, little), Array.from({ length: values }, (_, index) => number(view, from + index * size, size, little)));
    }
    if (view.getUint32(at + 2 + 12 * count, little)) throw new FilmError("this TIFF has several pages; expected one film.");
  } catch (error) {
    throw error instanceof FilmError ? error : damaged();
  }
  return fields;
}

function number(view: DataView, at: number, size: number, little: boolean): number {
  if (size === 1) return view.getUint8(at);
  return size === 2 ? view.getUint16(at, little) : view.getUint32(at, little);
}

function layoutOf(fields: Map<number, number[]>, length: number, maxPixels: number): Layout {
  const one = (tag: number, missing: number) => fields.get(tag)?.[0] ?? missing;
  const [width, height, bits] = [one(256, 0), one(257, 0), one(258, 1)];
  if (!width || !height) throw damaged();
  if (width * height > maxPixels) throw tooLarge(width, height);
  const photometric = one(262, 1);
  if (one(277, 1) !== 1 || photometric > 1) throw new FilmError("this TIFF is in color; expected grey. The site reads it on the server.");
  if (bits === 1) throw new FilmError("this TIFF has 1 bit a pixel: a mask, not a radiograph.");
  if ((bits !== 8 && bits !== 16) || one(339, 1) !== 1) {
    throw new FilmError("this TIFF holds signed, floating or odd samples; the browser reads 8 or 16 bits, unsigned.");
  }
  const tiled = fields.has(322);
  const piece: [number, number] = tiled ? [one(322, 0), one(323, 0)] : [width, Math.min(one(278, height), height)];
  const offsets = fields.get(tiled ? 324 : 273) ?? [];
  const counts = fields.get(tiled ? 325 : 279) ?? [];
  if (!piece[0] || !piece[1] || piece[0] * piece[1] > 4 * maxPixels) throw damaged();
  if (!offsets.length || offsets.length !== counts.length || offsets.some((at, index) => at + counts[index] > length)) throw damaged();
  return { width, height, bits, piece, offsets, counts, compression: one(259, PLAIN), predictor: one(317, 1), inverted: photometric === 0 };
}

async function samplesOf(data: Uint8Array, layout: Layout, index: number, rows: number, little: boolean): Promise<Samples> {
  const { bits, predictor, piece: [wide] } = layout;
  const bytes = (wide * rows * bits) / 8;
  const raw = await unpacked(data.subarray(layout.offsets[index], layout.offsets[index] + layout.counts[index]), layout.compression, bytes);
  if (raw.length < bytes) throw damaged();
  const view = new DataView(raw.buffer, raw.byteOffset, bytes);
  const samples: Samples = bits === 16
    ? Uint16Array.from({ length: wide * rows }, (_, place) => view.getUint16(2 * place, little))
    : raw.slice(0, bytes);
  if (predictor === 2) {
    for (let row = 0; row < rows; row++) for (let x = 1; x < wide; x++) samples[row * wide + x] += samples[row * wide + x - 1];
  } else if (predictor !== 1) throw new FilmError("this TIFF uses a predictor that the browser does not read.");
  return samples;
}

async function unpacked(part: Uint8Array, compression: number, bytes: number): Promise<Uint8Array> {
  if (compression === PLAIN) return part;
  if (compression === LZW) return lzw(part, bytes);
  if (compression === PACKBITS) return packbits(part, bytes);
  if (compression === DEFLATE || compression === OLD_DEFLATE) {
    return inflate(part, "deflate", bytes + 65536).catch((error: unknown) => {
      throw error instanceof FilmError ? error : damaged();
    });
  }
  throw new FilmError("this TIFF is compressed in a way that the browser does not read; the site reads it on the server.");
}

/** TIFF's LZW: codes of 9 to 12 bits, the highest bit first, wider one code early. */
function lzw(part: Uint8Array, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  const start = new Uint32Array(4096), length = new Uint32Array(4096);
  let next = 258, width = 9, held = 0, bits = 0, place = 0, before = -1;
  for (const byte of part) {
    held = ((held << 8) | byte) & 0xffffff;
    bits += 8;
    if (bits < width) continue;
    bits -= width;
    const code = (held >> bits) & ((1 << width) - 1);
    if (code === 257) break;
    if (code === 256) {
      [next, width, before] = [258, 9, -1];
      continue;
    }
    const from = place;
    if (code < 256) out[place++] = code;
    else {
      if (before < 0 || code > next || (code === next && next > 4095)) throw damaged();
      place = code === next ? repeat(out, place, before, place - before) : copy(out, place, start[code], length[code]);
    }
    if (before >= 0 && next < 4096) {
      start[next] = before;
      length[next++] = from - before + 1;
    }
    before = from;
    if (next >= (1 << width) - 1 && width < 12) width++;
    if (place >= bytes) break;
  }
  return place >= bytes ? out : out.subarray(0, place);
}

/** What was written last, and its first byte again. */
function repeat(out: Uint8Array, place: number, from: number, count: number): number {
  return copy(out, copy(out, place, from, count), from, 1);
}

function copy(out: Uint8Array, place: number, from: number, count: number): number {
  for (let index = 0; index < count; index++) out[place + index] = out[from + index];
  return place + count;
}

function packbits(part: Uint8Array, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  let place = 0;
  for (let at = 0; at < part.length && place < bytes; ) {
    const sign = part[at++];
    if (sign < 128) {
      out.set(part.subarray(at, at + Math.min(sign + 1, bytes - place)), place);
      place += sign + 1;
      at += sign + 1;
    } else if (sign > 128) {
      out.fill(part[at++], place, place + 257 - sign);
      place += 257 - sign;
    }
  }
  return out.subarray(0, Math.min(place, bytes));
}
