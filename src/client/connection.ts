import { ByteStream } from './byte-stream.ts';
import { ResponseParser, type ResponseHead } from './response-parser.ts';
import type { Wire } from './wire.ts';

/** A request as it goes on the wire. A string or array body has a known length; an iterable is sent in chunks. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Ask for the raw connection (`Upgrade: tcp`). */
  readonly hijack: boolean;
}

export interface WireResponse { readonly head: ResponseHead; readonly body: ByteStream }

/** A raw duplex stream after a hijack. */
export interface RawStream {
  readonly output: ByteStream;
  /** Resolves when the bytes have been taken and more is welcome. */
  write(bytes: Uint8Array): Promise<void>;
  closeWrite(): void;
  destroy(): void;
}

/** One HTTP/1.1 connection: one request at a time, then the next. */
export class Connection {
  readonly #wire: Wire;
  readonly #parser: ResponseParser;
  #body: ByteStream | undefined;
  #settle: { resolve(response: WireResponse): void; reject(error: Error): void } | undefined;
  #drained: (() => void)[] = [];
  #keepAlive = true;
  #hijack = false;
  #sending = false;
  #answered = false;
  /** No further request can be sent on it. */
  dead = false;
  /** Called when an answer is complete and the connection can serve again. */
  onIdle: ((connection: Connection) => void) | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#parser = new ResponseParser({
      head: (head) => this.#onHead(head),
      body: (chunk) => this.#body?.push(chunk),
      raw: (chunk) => this.#body?.push(chunk),
      end: () => this.#onEnd(),
    });
    wire.listener = {
      data: (chunk) => {
        try {
          this.#parser.push(chunk);
        } catch (error) {
          this.#fail(error as Error);
        }
      },
      end: () => {
        try {
          this.#parser.close();
        } catch (error) {
          return this.#fail(error as Error);
        }
        this.dead = true;
        this.#body?.finish();
        this.#release();
      },
      error: (error) => this.#fail(error),
      drain: () => this.#release(),
    };
  }

  /** Sends a request; resolves with the head, the body still streaming. */
  send(request: WireRequest): Promise<WireResponse> {
    this.#hijack = request.hijack;
    this.#answered = false;
    this.#body = undefined;
    this.#parser.reset(request.method !== 'HEAD');
    const response = new Promise<WireResponse>((resolve, reject) => (this.#settle = { resolve, reject }));
    const streaming = request.body !== undefined && typeof request.body !== 'string' && !(request.body instanceof Uint8Array);
    const bytes = typeof request.body === 'string' ? new TextEncoder().encode(request.body) : request.body;
    let head = `${request.method} ${request.path} HTTP/1.1\r\n`;
    for (const name in request.headers) head += `${name}: ${request.headers[name]}\r\n`;
    if (request.hijack) head += 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
    if (streaming) head += 'Transfer-Encoding: chunked\r\n';
    else if (bytes instanceof Uint8Array) head += `Content-Length: ${bytes.length}\r\n`;
    else if (request.method === 'POST' || request.method === 'PUT') head += 'Content-Length: 0\r\n';
    head += '\r\n';
    if (bytes instanceof Uint8Array && bytes.length > 0) {
      const start = new TextEncoder().encode(head);
      const whole = new Uint8Array(start.length + bytes.length);
      whole.set(start);
      whole.set(bytes, start.length);
      this.#wire.write(whole);
    } else this.#wire.write(head);
    if (streaming) this.#sendChunks(bytes as AsyncIterable<Uint8Array>).catch((error: Error) => this.#fail(error));
    return response;
  }

  /** After a hijacked answer: the raw stream, whose first bytes may have come with the head. */
  raw(body: ByteStream): RawStream {
    return {
      output: body,
      write: (bytes) => (this.#wire.write(bytes) ? Promise.resolve() : this.#whenDrained()),
      closeWrite: () => this.#wire.end(),
      destroy: () => this.destroy(),
    };
  }

  destroy(): void {
    this.dead = true;
    this.#wire.destroy();
    this.#body?.finish();
    this.#release();
    this.#settle?.reject(new Error('the connection was closed'));
    this.#settle = undefined;
  }

  #onHead(head: ResponseHead): boolean {
    const raw = this.#hijack && (head.status === 101 || head.status === 200);
    this.#keepAlive = !raw && head.headers.get('connection')?.toLowerCase() !== 'close';
    this.#body = new ByteStream({ pause: () => this.#wire.pause(), resume: () => this.#wire.resume(), cancel: () => this.destroy() });
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve({ head, body: this.#body });
    return raw;
  }

  #onEnd(): void {
    const body = this.#body;
    this.#body = undefined;
    this.#answered = true;
    // An answer that came before the request was all sent is a refusal: the connection is in the middle of a request.
    if (this.#keepAlive && !this.#sending) this.onIdle?.(this);
    else this.destroy();
    body?.finish();
  }

  async #sendChunks(body: AsyncIterable<Uint8Array>): Promise<void> {
    this.#sending = true;
    for await (const chunk of body) {
      if (this.dead || this.#answered) return;
      if (chunk.length === 0) continue;
      this.#wire.write(`${chunk.length.toString(16)}\r\n`);
      this.#wire.write(chunk);
      if (!this.#wire.write('\r\n')) await this.#whenDrained();
    }
    this.#sending = false;
    if (!this.dead && !this.#answered) this.#wire.write('0\r\n\r\n');
  }

  #whenDrained(): Promise<void> {
    if (this.dead) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #release(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const wake of waiting) wake();
  }

  #fail(error: Error): void {
    this.dead = true;
    this.#wire.destroy();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.reject(error);
    this.#body?.finish(error);
    this.#release();
  }
}
