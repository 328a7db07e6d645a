import type { Client } from './client.ts';
import { TYPE, endOfName } from './message.ts';

interface Kept { readonly message: Uint8Array; readonly nameEnd: number; readonly until: number; readonly since: number }

/** Seconds after which upstream is asked again, whatever it said. */
const LONGEST = 30;
const MAX_PER_CLIENT = 256;
const MAX_BYTES = 4 << 20;

/** What upstream said, for each container its own: servers may answer one container differently from another, and none can learn or spoil
 *  what another asked. Kept by the question alone: other records of an answer are never taken for answers. */
export class AnswerCache {
  readonly longest = LONGEST;
  #clients = new Map<Client, Map<string, Kept>>();
  #bytes = 0;

  put(client: Client, key: string, { message, nameEnd, seconds }: { message: Uint8Array; nameEnd: number; seconds: number }): void {
    if (seconds <= 0) return;
    if (this.#bytes + message.byteLength > MAX_BYTES) this.#clear();
    let kept = this.#clients.get(client);
    if (kept === undefined) this.#clients.set(client, (kept = new Map()));
    if (kept.size >= MAX_PER_CLIENT) this.#drop(kept, kept.keys().next().value!);
    this.#drop(kept, key);
    const now = performance.now();
    kept.set(key, { message, nameEnd, since: now, until: now + seconds * 1000 });
    this.#bytes += message.byteLength;
  }

  /** A copy with what is left of its times; id and spelling are those of the first question. */
  get(client: Client, key: string): Uint8Array | undefined {
    const kept = this.#clients.get(client);
    const found = kept?.get(key);
    if (kept === undefined || found === undefined) return undefined;
    const now = performance.now();
    if (found.until <= now) {
      this.#drop(kept, key);
      return undefined;
    }
    const copy = found.message.slice();
    grow(copy, found.nameEnd, Math.floor((now - found.since) / 1000));
    return copy;
  }

  forget(client: Client): void {
    for (const { message } of this.#clients.get(client)?.values() ?? []) this.#bytes -= message.byteLength;
    this.#clients.delete(client);
  }

  #drop(kept: Map<string, Kept>, key: string): void {
    this.#bytes -= kept.get(key)?.message.byteLength ?? 0;
    kept.delete(key);
  }

  #clear(): void {
    this.#clients = new Map();
    this.#bytes = 0;
  }
}

/** Makes the records of a whole message older. */
function grow(message: Uint8Array, nameEnd: number, seconds: number): void {
  if (seconds === 0) return;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  for (let at = nameEnd + 4; count > 0; count--) {
    const fixed = endOfName(message, at, message.byteLength);
    if (view.getUint16(fixed) !== TYPE.opt) view.setUint32(fixed + 4, Math.max(0, view.getUint32(fixed + 4) - seconds));
    at = fixed + 10 + view.getUint16(fixed + 8);
  }
}
