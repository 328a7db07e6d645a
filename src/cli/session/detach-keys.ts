import { NaruError } from '#spec/errors.ts';

/** ctrl-p, ctrl-q. */
export const DEFAULT_DETACH_KEYS: readonly number[] = [16, 17];

/** `ctrl-a,x`: the bytes of a detach sequence. Throws NaruError invalid. */
export function parseDetachKeys(text: string): number[] {
  if (text === '') return [...DEFAULT_DETACH_KEYS];
  return text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (control === undefined) throw new NaruError('invalid', `Invalid escape keys (${text}) provided: Unknown character: '${key}'`);
    return control === '@' ? 0 : control.charCodeAt(0) & 0x1f;
  });
}

/** Looks for the sequence in what is typed: bytes that may begin it are held back until it is clear that they do not. */
export class DetachFilter {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What to send on; `detached` when the sequence was complete (what follows is dropped). */
  push(input: Uint8Array): { bytes: Uint8Array; detached: boolean } {
    const out: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { bytes: Uint8Array.from(out), detached: true };
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
    }
    return { bytes: Uint8Array.from(out), detached: false };
  }
}
