import { type Socket, connect } from 'node:net';

/** A client that sends exactly the bytes it is told to, for tests of the HTTP layer. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #wake: (() => void) | undefined;
  ended = false;
  closed = false;

  constructor(where: string | { host: string; port: number }, socket?: Socket) {
    this.socket = socket ?? (typeof where === 'string' ? connect({ path: where, allowHalfOpen: true }) : connect({ ...where, allowHalfOpen: true }));
    this.socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes);
      this.#wake?.();
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.#wake?.();
    });
    this.socket.on('close', () => {
      this.ended = this.closed = true;
      this.#wake?.();
    });
    this.socket.on('error', () => undefined);
  }

  get text(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(bytes);
    return this;
  }

  /** Waits until what came matches; throws after the deadline, showing what did come. */
  async until(done: (text: string) => boolean, deadlineMs = 10_000): Promise<string> {
    const end = performance.now() + deadlineMs;
    while (!done(this.text)) {
      const left = end - performance.now();
      if (left <= 0 || this.closed) throw new Error(`not received in time: ${JSON.stringify(this.text.slice(0, 2_000))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.text;
  }

  /** Everything up to the server's end of stream. */
  async whole(deadlineMs = 10_000): Promise<string> {
    const end = performance.now() + deadlineMs;
    while (!this.ended) {
      if (performance.now() > end) throw new Error(`the server did not close: ${JSON.stringify(this.text.slice(0, 2_000))}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 50);
      });
    }
    return this.text;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** One request, one answer; the connection is closed by the server (the request should say so) or after a bad request. */
export async function rawExchange(where: string | { host: string; port: number }, request: string): Promise<string> {
  const client = new RawClient(where).send(request);
  try {
    return await client.whole();
  } finally {
    client.close();
  }
}

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(answer)?.[1] ?? 0);
export const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);
