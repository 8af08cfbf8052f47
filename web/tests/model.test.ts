import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { unpack } from "../src/model/archive";
import { readCard } from "../src/model/card";
import { boxDifference, detectionsOf, thin } from "../src/model/detections";
import { mapToGrid, wayOf } from "../src/model/geometry";
import { compare, readReference } from "../src/model/reference";
import { blockMeans, resample } from "../src/model/resample";
import { boxesOfMap } from "../src/model/spots";
import { applyRule } from "../src/model/uncertainty";
import { sha256, sha256Plain, hex } from "../src/pixels/sha256";
import { alphaOf } from "../src/view/heat";

const shipped = fileURLToPath(new URL("../../src/lucidray/bundle/shipped/adult-opacity.lucid", import.meta.url));
const file = () => new Uint8Array(readFileSync(shipped));

describe("a bundle's file", () => {
  it("is checked and taken apart", async () => {
    const { members, digest } = await unpack(file(), "adult-opacity");
    expect([...members.keys()]).toEqual(["card.json", "gate.npz", "model.onnx", "reference.npz"]);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(readCard(members.get("card.json")!).findings[0].name).toBe("Lung Opacity");
  });
  it.each([3, 200, 5000, 1_000_000, -5])("is refused where byte %i was changed", async (at) => {
    const data = file();
    data[at < 0 ? data.length + at : at] ^= 1;
    await expect(unpack(data, "it")).rejects.toThrow(/changed|no bundle|does not match/);
  });
  it("is refused where it is cut short or longer", async () => {
    await expect(unpack(file().subarray(0, -1), "it")).rejects.toThrow();
    const longer = new Uint8Array(file().length + 1);
    longer.set(file());
    await expect(unpack(longer, "it")).rejects.toThrow();
  });
  it("has a card that says what it needs", () => {
    expect(() => readCard(new TextEncoder().encode('{"minimum_reader": 99}'))).toThrow("version 99");
    expect(() => readCard(new TextEncoder().encode("nothing"))).toThrow("no card");
  });
  it("is refused in plain words where it takes metadata beside the film", async () => {
    const { members } = await unpack(file(), "adult-opacity");
    const card = JSON.parse(new TextDecoder().decode(members.get("card.json")!));
    const read = (metadata: unknown, minimum_reader: number) => readCard(new TextEncoder().encode(JSON.stringify({ ...card, metadata, minimum_reader })));
    const told = { coding: { attributes: ["age", "sex", "view"] } };
    expect(() => read(told, 2)).toThrow("(age, sex, view), which the browser does not read. Have it read on the server.");
    expect(read(null, 1).findings[0].name).toBe("Lung Opacity");
    expect(() => read(null, 2)).toThrow("a reader of version 2");
  });
});

describe("the self-test", () => {
  it("passes on the reference itself and fails on anything else", async () => {
    const { members } = await unpack(file(), "it");
    const reference = await readReference(members.get("reference.npz")!);
    expect(reference.images).toHaveLength(4);
    expect(compare(reference, reference.expected, "test").passed).toBe(true);
    const off = reference.expected.map((each) => ({ ...each, probabilities: each.probabilities.map((p) => p + 1e-3) }));
    expect(compare(reference, off, "test").passed).toBe(false);
    const broken = reference.expected.map((each) => ({ ...each, maps: each.maps.map(() => NaN) }));
    expect(compare(reference, broken, "test").passed).toBe(false);
  });
});

describe("numbers as Python's", () => {
  it("resizes with antialiasing", () => {
    const row = resample({ width: 4, height: 1, data: Float32Array.of(0, 1, 2, 3) }, 2, 1);
    expect([...row.data].map((value) => Number(value.toFixed(4)))).toEqual([0.7143, 2.2857]);
  });
  it("takes means of blocks", () => {
    const image = { width: 4, height: 4, data: Float32Array.from({ length: 16 }, (_, i) => i) };
    expect([...blockMeans(image, 2).data]).toEqual([2.5, 4.5, 10.5, 12.5]);
  });
  it("boxes the strong spots, corners touching", () => {
    expect(boxesOfMap(Float32Array.of(0.1, 0.2, 0.1, 0.2, 0.9, 1, 0.1, 0.2, 0.6), 3, 3)).toEqual([[1, 1, 3, 3]]);
    expect(boxesOfMap(Float32Array.of(-2, -1, -1, 0), 2, 2)).toEqual([]);
    expect(boxesOfMap(Float32Array.of(1, 0, 0, 0, 0, 1, 1, 0), 4, 2)).toEqual([[0, 0, 3, 2]]);
  });
  it("places a letterboxed and a cropped square", () => {
    const letter = wayOf(100, 200, { size: 50, crop: null, fit: "letterbox" });
    expect([letter.a, letter.c, letter.e, letter.f]).toEqual([0.25, 12, 0.25, 0]);
    const cropped = wayOf(1000, 1000, { size: 100, crop: [0.15, 0.9, 0.2, 0.8], fit: "squash" });
    expect(cropped.a * 200 + cropped.c).toBeCloseTo(0);
    expect(cropped.e * 900 + cropped.f).toBeCloseTo(100);
  });
  it("leaves what the model did not see at nothing", () => {
    const way = wayOf(10, 10, { size: 8, crop: [0.5, 1, 0, 1], fit: "squash" });
    const grid = mapToGrid(Float32Array.of(1, 1, 1, 1), 2, 2, way, { width: 10, height: 10 }, 10, 10);
    expect(grid[0]).toBe(0);
    expect(grid[99]).toBe(1);
  });
  it("says how unsure an answer is", () => {
    const rule = { alpha: 0.1, present_from: [0.2], absent_to: [0.6], score: "entropy" as const, threshold: 0.95, judged: [] };
    expect(applyRule(rule, [0.5], ["Mass"], {}, false)).toEqual({ entropy: [1], mayBePresent: [true], mayBeAbsent: [true], refer: true });
    const margin = { ...rule, score: "margin" as const };
    expect(applyRule(margin, [0.1], ["Mass"], { Mass: 0.1 }, false).refer).toBe(true);
    expect(applyRule(margin, [0.1], ["Mass"], { Mass: 0.9 }, false).refer).toBe(false);
  });
  it("thins a detector's boxes and keeps those that reach their point", () => {
    const regions = { count: 2, findings: 1, boxes: Float32Array.of(0, 0, 4, 4, 0, 0, 4, 5), scores: Float32Array.of(0.6, 0.9) };
    expect(thin(regions).map((each) => each.box)).toEqual([[0, 0, 4, 5]]);
    expect(thin(regions, 0.9)).toHaveLength(2);
    const way = wayOf(20, 20, { size: 10, crop: null, fit: "squash" });
    const rule = { detector: "", overlap: 0.5, points: { Mass: { threshold: 0.8 } } };
    expect(detectionsOf(regions, rule, ["Mass"], way, { width: 20, height: 8 })[0].box).toEqual([0, 0, 8, 8]);
    expect(detectionsOf(regions, { ...rule, points: {} }, ["Mass"], way, { width: 20, height: 20 })).toEqual([]);
    expect(boxDifference(regions, regions)).toBe(0);
    expect(boxDifference(regions, null)).toBeNaN();
    expect(boxDifference(regions, { ...regions, boxes: regions.boxes.map((edge) => edge + 3) })).toBe(Infinity);
  });
  it("is transparent below the threshold", () => {
    expect(alphaOf(0.19, { colors: "viridis", opacity: 0.6, threshold: 0.2 })).toBe(0);
    expect(alphaOf(1, { colors: "viridis", opacity: 0.6, threshold: 0.2 })).toBeCloseTo(0.6);
  });
  it.each([0, 3, 55, 56, 63, 64, 119, 1000])("hashes %i bytes like the browser", async (size) => {
    const data = Uint8Array.from({ length: size }, (_, i) => (i * 37) & 255);
    expect(hex(sha256Plain(data))).toBe(await sha256(data));
  });
});
