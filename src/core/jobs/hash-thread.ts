import { Worker } from 'node:worker_threads';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Digester } from '../content/digest.ts';

/** Slots of the ring and their size: what may wait for the hash. */
const SLOTS = 8;
const SLOT = 1 << 18;

/** Longest wait for the thread, milliseconds. */
const DEADLINE = 60_000;

/** Words of the control block: slots filled, slots hashed, then the length of each slot (-1: the end). */
const FILLED = 0, HASHED = 1, LENGTHS = 2;

/**
 * What the thread does. As text, because that is the one form of a worker that runs the same from source and inside the
 * executable. After an end it writes the 32 bytes of the digest into the slot and starts afresh.
 */
const PROGRAM = `
const { workerData } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const control = new Int32Array(workerData.control);
const data = new Uint8Array(workerData.data);
let hash = createHash('sha256');
for (let done = 0; ; done++) {
  while (Atomics.load(control, ${FILLED}) === done) Atomics.wait(control, ${FILLED}, done);
  const slot = done % ${SLOTS};
  const length = control[${LENGTHS} + slot];
  const bytes = data.subarray(slot * ${SLOT}, slot * ${SLOT} + Math.max(length, 32));
  if (length >= 0) hash.update(bytes.subarray(0, length));
  else {
    bytes.set(hash.digest());
    hash = createHash('sha256');
  }
  Atomics.store(control, ${HASHED}, done + 1);
  Atomics.notify(control, ${HASHED});
}`;

/**
 * sha256 on another core, for jobs that have an event loop to themselves: `update` copies and returns, `digest` waits. One
 * digest at a time; use it again after `digest`.
 */
export class HashThread implements Digester {
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * (LENGTHS + SLOTS)));
  readonly #data = new Uint8Array(new SharedArrayBuffer(SLOTS * SLOT));
  #filled = 0;

  constructor() {
    const worker = new Worker(PROGRAM, { eval: true, workerData: { control: this.#control.buffer, data: this.#data.buffer } });
    worker.unref();
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; at += SLOT) {
      const part = bytes.subarray(at, at + SLOT);
      const slot = this.#free();
      this.#data.set(part, slot * SLOT);
      this.#fill(slot, part.byteLength);
    }
  }

  digest(): Digest {
    const slot = this.#free();
    this.#fill(slot, -1);
    this.#wait(this.#filled);
    return `sha256:${Buffer.from(this.#data.slice(slot * SLOT, slot * SLOT + 32)).toString('hex')}` as Digest;
  }

  #free(): number {
    this.#wait(this.#filled - SLOTS + 1);
    return this.#filled % SLOTS;
  }

  #fill(slot: number, length: number): void {
    this.#control[LENGTHS + slot] = length;
    Atomics.store(this.#control, FILLED, ++this.#filled);
    Atomics.notify(this.#control, FILLED);
  }

  /** Until so many slots are hashed. */
  #wait(count: number): void {
    for (let hashed = Atomics.load(this.#control, HASHED); hashed < count; hashed = Atomics.load(this.#control, HASHED)) {
      if (Atomics.wait(this.#control, HASHED, hashed, DEADLINE) === 'timed-out') throw new NaruError('internal', 'the hashing thread does not answer');
    }
  }
}
