/** What the kernel shows a filter of one system call: struct seccomp_data. */
export interface SeccompData {
  readonly nr: number;
  readonly arch: number;
  readonly args: readonly bigint[];
}

export interface FilterRun {
  readonly result: number;
  readonly steps: number;
  /** Only `nr` and `arch` were looked at: the kernel (5.11 and later) then answers from a bitmap, without running it. */
  readonly constant: boolean;
}

/** Run a filter as the kernel would, for tests: throws for what its checker would refuse. */
export function runFilter(program: Uint8Array, data: SeccompData): FilterRun {
  const count = program.byteLength / 8;
  if (!Number.isInteger(count) || count === 0 || count > 4096) throw new Error(`a program of ${count} instructions`);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  let constant = true;
  for (let at = 0, steps = 1; at < count; at++, steps++) {
    const [code, yes, no, k] = [view.getUint16(at * 8, true), view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3), view.getUint32(at * 8 + 4, true)];
    const jumpIf = (holds: boolean): void => void (at += holds ? yes : no);
    switch (code) {
      case 0x20: // ld [k]
        if (k % 4 !== 0 || k >= 64) throw new Error(`load of offset ${k}`);
        if (k >= 8) constant = false;
        accumulator = k === 0 ? data.nr : k === 4 ? data.arch : word(data.args[(k - 16) >> 3] ?? 0n, (k & 4) !== 0);
        break;
      case 0x54: accumulator = (accumulator & k) >>> 0; break;
      case 0x05: at += k; break;
      case 0x15: jumpIf(accumulator === k); break;
      case 0x25: jumpIf(accumulator > k); break;
      case 0x35: jumpIf(accumulator >= k); break;
      case 0x06: return { result: k, steps, constant };
      default: throw new Error(`instruction 0x${code.toString(16)} at ${at}`);
    }
  }
  throw new Error('the program ran off its end');
}

const word = (value: bigint, upper: boolean): number => Number((upper ? value >> 32n : value) & 0xffffffffn);
