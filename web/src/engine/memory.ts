/** Who lies where in the memory of the loops: what is kept, and what makes room for others after its last use. */

export class Buffer {
  /** Address in bytes, once the memory is made. */
  at = 0;
  first = Infinity;
  last = -1;

  constructor(readonly floats: number) {}

  /** Say that a step uses it. */
  touch(step: number): void {
    this.first = Math.min(this.first, step);
    this.last = Math.max(this.last, step);
  }

  get end(): number {
    return this.at + 4 * this.floats;
  }
}

const PAGE = 65536;
const START = 64;

/** Give each buffer its address, kept ones first, and return the memory that holds them all. */
export function layOut(kept: Buffer[], passing: Buffer[], slack: number): WebAssembly.Memory {
  let end = START;
  for (const buffer of kept) {
    buffer.at = end;
    end = aligned(buffer.end);
  }
  const placed: Buffer[] = [];
  const base = end;
  for (const buffer of [...passing].sort((one, two) => two.floats - one.floats)) {
    const beside = placed.filter((other) => other.first <= buffer.last && buffer.first <= other.last);
    buffer.at = base;
    for (const other of beside.sort((one, two) => one.at - two.at)) {
      if (other.at < buffer.end && buffer.at < other.end) buffer.at = aligned(other.end);
    }
    placed.push(buffer);
    end = Math.max(end, buffer.end);
  }
  return new WebAssembly.Memory({ initial: Math.ceil((end + 4 * slack) / PAGE) + 1 });
}

const aligned = (address: number) => Math.ceil(address / 64) * 64;
