import { Worker } from 'node:worker_threads';

/** The least that libdeflate does for a smaller size: half of zlib's time for the same. */
const LEVEL = 1;

/** As text, because that is the one form of a worker that runs the same from source and inside the executable. */
const PROGRAM = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', (block) => {
  const out = Bun.gzipSync(block, { library: 'libdeflate', level: ${LEVEL} });
  parentPort.postMessage({ out, block }, [out.buffer, block.buffer]);
});`;

/** A gzip member of a block, by libdeflate: the same bytes for the same block always. Members one after another are one stream to
 *  every reader (https://www.rfc-editor.org/rfc/rfc1952#section-2.2). */
export const gzipMember = (block: Uint8Array<ArrayBuffer>): Uint8Array => Bun.gzipSync(block, { library: 'libdeflate', level: LEVEL });

interface Done { readonly out: Uint8Array; /** What was given, to be used again: fresh memory costs as much as the compression. */ readonly block: Uint8Array<ArrayBuffer> }
interface Thread { worker: Worker; waiting: { resolve(done: Done): void; reject(error: Error): void }[] }

/** `gzipMember` in other threads. */
export class GzipThreads implements Disposable {
  readonly #workers: Thread[];

  constructor(count: number) {
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(PROGRAM, { eval: true });
      const one: Thread = { worker, waiting: [] };
      worker.on('message', (done: Done) => one.waiting.shift()?.resolve(done));
      worker.on('error', (error: Error) => { for (const { reject } of one.waiting.splice(0)) reject(error); });
      return one;
    });
  }

  /** Takes the block's buffer away until it is done. */
  gzip(block: Uint8Array<ArrayBuffer>): Promise<Done> {
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
