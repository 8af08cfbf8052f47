/** Weights as the loops want them. */
import { CHANNELS } from "./kernels";
import type { Node } from "./onnx";
import type { Weights } from "./shapes";

export interface Kernel {
  /** `(channels, depth, taps)`. */
  data: Float32Array;
  channels: number;
  depth: number;
  taps: number;
  bias: Float32Array;
}

/** What a norm does to each channel. */
export interface Norm {
  factors: Float32Array;
  shifts: Float32Array;
}

export function normOf(node: Node, weights: Map<string, Weights>): Norm {
  const [scale, shift, mean, variance] = node.inputs.slice(1, 5).map((name) => weights.get(name)!.data);
  const epsilon = node.attributes.get("epsilon")?.float || 1e-5;
  const factors = scale.map((value, i) => value / Math.sqrt(variance[i] + epsilon));
  return { factors, shifts: shift.map((value, i) => value - mean[i] * factors[i]) };
}

/** Return the weights of a convolution, a norm that follows it included. */
export function folded({ dims, data }: Weights, bias: Float32Array | null, norm: Norm | null): Kernel {
  const [channels, depth] = dims;
  const kernel = { channels, depth, taps: dims[2] * dims[3], data, bias: bias ?? new Float32Array(channels) };
  if (!norm) return kernel;
  const size = depth * kernel.taps;
  return {
    ...kernel,
    data: data.map((value, i) => value * norm.factors[Math.floor(i / size)]),
    bias: kernel.bias.map((value, i) => value * norm.factors[i] + norm.shifts[i]),
  };
}

/** Return `(channels / 8, taps, depth, 8)`; with `flat`, taps within the depth, which is filled up to so many. */
export function packed({ data, channels, depth, taps }: Kernel, flat?: number): Float32Array {
  const size = depth * taps;
  const rows = flat ?? size;
  const found = new Float32Array(channels * rows);
  for (let channel = 0, from = 0; channel < channels; channel++) {
    const start = Math.floor(channel / CHANNELS) * rows * CHANNELS + (channel % CHANNELS);
    for (let i = 0; i < size; i++, from++) {
      const row = flat ? i : (i % taps) * depth + Math.floor(i / taps);
      found[start + row * CHANNELS] = data[from];
    }
  }
  return found;
}
