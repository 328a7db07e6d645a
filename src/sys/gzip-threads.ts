import { Worker } from 'node:worker_threads';

/** Of a block: what is tried first. What does not become smaller than DENSE of it is dense, and stored. */
const SAMPLE = 32 << 10;
const DENSE = 0.98;

/** As text, because that is the one form of a worker that runs the same from source and inside the executable. */
const PROGRAM = `
const { parentPort } = require('node:worker_threads');
const gzip = (bytes, level) => Bun.gzipSync(bytes, { library: 'libdeflate', level });
parentPort.on('message', (bytes) => {
  const sample = bytes.subarray(0, ${SAMPLE});
  const dense = bytes.byteLength > ${2 * SAMPLE} && gzip(sample, 1).byteLength > sample.byteLength * ${DENSE};
  const out = gzip(bytes, dense ? 0 : 1);
  parentPort.postMessage(out, [out.buffer]);
});`;

interface Thread { worker: Worker; waiting: { resolve(bytes: Uint8Array): void; reject(error: Error): void }[] }

/**
 * gzip in other threads by libdeflate, which takes half of zlib's time for the same size: each block becomes a gzip member of its
 * own, the same bytes for the same block always. Members one after another are one stream to every reader
 * (https://www.rfc-editor.org/rfc/rfc1952#section-2.2).
 */
export class GzipThreads implements Disposable {
  readonly #workers: Thread[];

  constructor(count: number) {
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(PROGRAM, { eval: true });
      const one: Thread = { worker, waiting: [] };
      worker.on('message', (bytes: Uint8Array) => one.waiting.shift()?.resolve(bytes));
      worker.on('error', (error: Error) => { for (const { reject } of one.waiting.splice(0)) reject(error); });
      return one;
    });
  }

  /** Takes the block's buffer away. */
  gzip(block: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    const least = this.#workers.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
    return new Promise((resolve, reject) => {
      least.waiting.push({ resolve, reject });
      least.worker.postMessage(block, [block.buffer]);
    });
  }

  [Symbol.dispose](): void {
    for (const { worker } of this.#workers) void worker.terminate();
  }
}
