/** The shim protocol (native/README.md): one message is one SEQPACKET record; little-endian. */
export const TO_SHIM = { spawn: 1, attach: 2, resize: 3, signal: 4, start: 5, closeStdin: 6, subscribe: 7 } as const;
const FROM_SHIM = { started: 101, failed: 102, exited: 103, attachEnd: 104, oom: 105, trace: 106, created: 107, attached: 108 } as const;

export const ATTACH_FLAGS = { stdin: 1, stdout: 2, stderr: 4, framed: 8, closeStdin: 16, unanswered: 32 } as const;
/** Docker's longest sensible detach sequence by far. */
export const MAX_DETACH_KEYS = 64;

export type ShimMessage =
  | { readonly type: 'started' | 'created'; readonly pid: number; readonly at: bigint }
  | { readonly type: 'failed'; readonly section: number; readonly op: number; readonly errno: number; readonly extra: number }
  | { readonly type: 'exited'; readonly code: number; readonly signal: number; readonly oomKills: number; readonly coreDumped: boolean; readonly at: bigint }
  | { readonly type: 'attachEnd'; readonly seq: number; readonly reason: number }
  | { readonly type: 'attached'; readonly seq: number }
  | { readonly type: 'oom'; readonly kills: number }
  | { readonly type: 'trace'; readonly stamps: readonly { readonly op: number; readonly start: bigint; readonly end: bigint }[] };

/** A message to the spawner or a shim; `words` are its u32 values, `tail` follows them. */
export function encodeMessage(type: number, seq: number, words: readonly number[] = [], tail?: Uint8Array): Uint8Array {
  const memory = new ArrayBuffer(8 + words.length * 4 + (tail?.byteLength ?? 0));
  const bytes = new Uint8Array(memory);
  const view = new DataView(memory);
  view.setUint32(0, type, true);
  view.setUint32(4, seq, true);
  words.forEach((word, i) => view.setUint32(8 + i * 4, word >>> 0, true));
  if (tail !== undefined) bytes.set(tail, 8 + words.length * 4);
  return bytes;
}

/** undefined: unknown (a newer shim) or too short for what it claims to be. */
export function decodeMessage(bytes: Uint8Array): ShimMessage | undefined {
  if (bytes.byteLength < 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = view.getUint32(0, true);
  const seq = view.getUint32(4, true);
  const holds = (payload: number): boolean => bytes.byteLength >= 8 + payload;
  switch (type) {
    case FROM_SHIM.started:
    case FROM_SHIM.created:
      return holds(16) ? { type: type === FROM_SHIM.started ? 'started' : 'created', pid: view.getInt32(8, true), at: view.getBigUint64(16, true) } : undefined;
    case FROM_SHIM.failed:
      return holds(16) ? { type: 'failed', section: view.getUint32(8, true), op: view.getUint32(12, true), errno: view.getInt32(16, true), extra: view.getUint32(20, true) } : undefined;
    case FROM_SHIM.exited:
      return holds(24) ? { type: 'exited', code: view.getInt32(8, true), signal: view.getInt32(12, true), oomKills: view.getUint32(16, true), coreDumped: view.getUint32(20, true) !== 0, at: view.getBigUint64(24, true) } : undefined;
    case FROM_SHIM.attachEnd:
      return holds(4) ? { type: 'attachEnd', seq, reason: view.getUint32(8, true) } : undefined;
    case FROM_SHIM.attached:
      return { type: 'attached', seq };
    case FROM_SHIM.oom:
      return holds(4) ? { type: 'oom', kills: view.getUint32(8, true) } : undefined;
    case FROM_SHIM.trace: {
      const count = holds(8) ? view.getUint32(8, true) : 0;
      if (!holds(8 + count * 24)) return undefined;
      const stamps = Array.from({ length: count }, (_, i) => {
        const at = 16 + i * 24;
        return { op: view.getUint32(at, true), start: view.getBigUint64(at + 8, true), end: view.getBigUint64(at + 16, true) };
      });
      return { type: 'trace', stamps };
    }
    default:
      return undefined;
  }
}
