import type { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import type { RequestHead } from './parse-head.ts';
import type { RequestBody } from './request-body.ts';

/** One request, as the API's dispatcher sees it. */
export class HttpRequest {
  readonly head: RequestHead;
  readonly #body: RequestBody | undefined;
  #controller: AbortController | undefined;
  #gone = false;
  #held = false;

  constructor(head: RequestHead, body: RequestBody | undefined) {
    this.head = head;
    this.#body = body;
  }

  /** Aborts when the client goes away, or half-closes, before the answer is complete. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#gone) this.#controller.abort();
    return this.#controller.signal;
  }

  get hasBody(): boolean {
    return this.#body !== undefined;
  }
  /** undefined: chunked, not known. */
  get contentLength(): number | undefined {
    const framing = this.head.framing;
    return framing.kind === 'chunked' ? undefined : framing.kind === 'none' ? 0 : framing.bytes;
  }
  header(name: string): string | undefined {
    return this.head.headers.get(name);
  }

  /** See RequestBody.readAll. */
  async readAll(limit: number): Promise<Buffer> {
    if (this.#body === undefined) return Buffer.alloc(0);
    if ((this.contentLength ?? 0) > limit) throw new NaruError('too-large', `request body is larger than ${limit} bytes`);
    return this.#body.readAll(limit);
  }
  /** The body as a stream; undefined when the request has none. */
  stream(): Readable | undefined {
    return this.#body?.stream();
  }

  /** Must be called synchronously by the handler whose reply may be a takeover: nothing behind the request is read then. */
  holdInput(): void {
    this.#held = true;
  }
  get inputHeld(): boolean {
    return this.#held;
  }

  /** For the connection: the client is gone. */
  abort(): void {
    this.#gone = true;
    this.#controller?.abort();
  }
}
