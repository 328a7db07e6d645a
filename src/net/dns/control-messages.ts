import type { DnsConfiguration, DnsStatistics } from './port.ts';

/** Of the messages between daemon and resolver (SEQPACKET, JSON). A resolver of another version is replaced. */
export const CONTROL_VERSION = 1;

export type ToResolver =
  /** With the container's sockets (udp, tcp) where it makes or remakes them. `pid`: its first process; absent: who sends this is it. */
  | { readonly kind: 'set'; readonly id: string; readonly configuration: DnsConfiguration; readonly pid?: number }
  /** Unless another process is the container by now. */
  | { readonly kind: 'remove'; readonly id: string; readonly pid: number }
  /** Whoever was not set by this connection, or since it is there, is gone. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'statistics'; readonly sequence: number }
  /** Another version takes over. */
  | { readonly kind: 'end' };

export type FromResolver =
  /** It was set, and has no sockets. */
  | { readonly kind: 'needs-sockets'; readonly id: string }
  | { readonly kind: 'statistics'; readonly sequence: number; readonly statistics: DnsStatistics };

export const MAX_CONTROL_BYTES = 190_000;

export const encodeControl = (message: ToResolver | FromResolver): Uint8Array => Buffer.from(JSON.stringify({ version: CONTROL_VERSION, ...message }));

/** undefined: broken, or of another version. */
export function decodeControl<T extends ToResolver | FromResolver>(bytes: Uint8Array): T | undefined {
  try {
    const message = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as T & { version?: number };
    return message.version === CONTROL_VERSION ? message : undefined;
  } catch {
    return undefined;
  }
}
