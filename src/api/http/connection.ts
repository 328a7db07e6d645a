import { NaruError } from '#spec/errors.ts';
import type { FdSocketHandlers } from '#sys/fd-socket.ts';
import type { StreamSocket } from '#sys/stream-listener.ts';
import { type BodyDecoder, createBodyDecoder } from './body-decoder.ts';
import { InputBuffer } from './input-buffer.ts';
import { OutputQueue } from './output-queue.ts';
import { MAX_HEAD_BYTES, MAX_REQUEST_LINE_BYTES, type RequestHead, parseHead } from './parse-head.ts';
import { type Reply, type TakeoverReply, renderHead } from './reply.ts';
import { RequestBody } from './request-body.ts';
import { HttpRequest } from './request.ts';
import { decodingRelay, giveAway, pumpTakeover } from './take-over.ts';
import { asStream, fullReplyBytes, streamReply, writePast } from './write-reply.ts';

/** A whole request head has to arrive within this time after its first byte. */
export const HEAD_DEADLINE_MS = 10_000;
/** An idle keep-alive connection is kept this long. */
export const IDLE_DEADLINE_MS = 10 * 60_000;
/** After our last byte, the client gets this long to close (an early reset would destroy the answer on its way). */
export const LINGER_MS = 2_000;
/** Pipelined bytes held while a request is being served. */
export const MAX_PIPELINED_BYTES = 64 * 1024;

/** Answers a request; a rejection is a bug and becomes a bare 500. */
export type HttpHandler = (request: HttpRequest) => Reply | Promise<Reply>;

export interface ConnectionOwner {
  readonly closing: boolean;
  closed(connection: Connection): void;
}

interface Exchange {
  readonly request: HttpRequest;
  readonly head: RequestHead;
  readonly decoder: BodyDecoder | undefined;
  readonly body: RequestBody | undefined;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/**
 * One client connection: requests one after the other (pipelined ones wait), each answered before the next is looked at.
 * States: `head` (waiting for or reading a head), `busy` (an exchange runs), `lingering` (answered for the last time, input
 * is thrown away), `taken` (the socket belongs to an attach), `closed`.
 */
export class Connection implements FdSocketHandlers {
  readonly #socket: StreamSocket;
  readonly #handler: HttpHandler;
  readonly #owner: ConnectionOwner;
  readonly #input = new InputBuffer();
  readonly #output: OutputQueue;
  #state: 'head' | 'busy' | 'lingering' | 'taken' | 'closed' = 'head';
  #exchange: Exchange | undefined;
  #streaming = false;
  #scanned = 0;
  #paused = false;
  #inputEnded = false;
  #deadline = performance.now() + HEAD_DEADLINE_MS;
  #relay: FdSocketHandlers | undefined;

  constructor(socket: StreamSocket, handler: HttpHandler, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#handler = handler;
    this.#owner = owner;
    this.#output = new OutputQueue((bytes) => socket.write(bytes));
  }

  /** Nothing of a request has arrived. */
  get idle(): boolean {
    return this.#state === 'head' && this.#input.length === 0;
  }
  get streaming(): boolean {
    return this.#streaming;
  }

  data(bytes: Uint8Array): void {
    if (this.#relay !== undefined) return this.#relay.data(bytes);
    if (this.#state === 'lingering' || this.#state === 'closed') return;
    if (this.idle) this.#deadline = performance.now() + HEAD_DEADLINE_MS;
    this.#input.append(bytes);
    this.#advance();
  }

  drain(): void {
    if (this.#relay?.drain !== undefined) this.#relay.drain();
    else this.#output.flush();
  }

  end(): void {
    this.#inputEnded = true;
    if (this.#relay?.end !== undefined) return this.#relay.end();
    if (this.#state === 'head') return void this.#linger();
    if (this.#state !== 'busy') return this.terminate();
    this.#exchange?.body?.fail(new NaruError('invalid', 'the request body broke off'));
    if (!this.#exchange?.request.inputHeld) this.#exchange?.request.abort();
  }

  close(): void {
    if (this.#state === 'closed') return;
    const relay = this.#relay;
    this.#state = 'closed';
    this.#output.close();
    relay?.close();
    const { body, request } = this.#exchange ?? {};
    if (body?.complete === false) body.fail(new NaruError('canceled', 'the client closed the connection'));
    request?.abort();
    this.#owner.closed(this);
  }

  /** Called every second or so: enforces the deadlines. */
  checkDeadline(now: number): void {
    if (now < this.#deadline) return;
    if (this.#state === 'lingering' || this.idle) this.terminate();
    else if (this.#state === 'head') this.#refuse(408, 'the request head did not arrive in time');
  }

  /** Stop: idle connections and streams are cut, other exchanges finish. */
  shutdown(): void {
    if (this.#state === 'head' || this.#streaming) this.terminate();
  }

  terminate(): void {
    if (this.#state === 'closed') return;
    this.#socket.close();
    this.close();
  }

  #advance(): void {
    while (this.#state === 'head' && this.#input.length > 0) {
      if (!this.#readHead()) return;
    }
    if (this.#state !== 'busy') return;
    this.#feedBody();
    if (this.#input.length > MAX_PIPELINED_BYTES) this.#pause();
  }

  /** False when the head is not complete yet. */
  #readHead(): boolean {
    const bytes = this.#input.view();
    const skip = this.#scanned === 0 && bytes[0] === 13 && bytes[1] === 10 ? 2 : 0; // one empty line may precede (RFC 9112, 2.2)
    const end = bytes.indexOf(HEAD_END, Math.max(skip, this.#scanned - 3));
    if (end < 0 ? bytes.byteLength > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
      const lineEnd = bytes.indexOf(13);
      const longLine = lineEnd < 0 || lineEnd > MAX_REQUEST_LINE_BYTES;
      this.#refuse(longLine ? 414 : 431, longLine ? 'request line too long' : 'request header too large');
      return false;
    }
    if (end < 0) {
      this.#scanned = bytes.byteLength;
      return false;
    }
    this.#scanned = 0;
    const head = parseHead(bytes.toString('latin1', skip, end));
    this.#input.skip(end + 4);
    if ('refused' in head) {
      this.#refuse(head.refused, head.message);
      return false;
    }
    this.#begin(head);
    return true;
  }

  #begin(head: RequestHead): void {
    this.#state = 'busy';
    this.#deadline = Number.POSITIVE_INFINITY;
    let body: RequestBody | undefined;
    if (head.framing.kind !== 'none') {
      let continued = !head.expectsContinue;
      body = new RequestBody(() => {
        if (!continued && this.#input.length === 0) this.#output.write(CONTINUE);
        continued = true;
        this.#resume();
      });
    }
    const decoder = body === undefined ? undefined : createBodyDecoder(head.framing);
    const request = new HttpRequest(head, body);
    this.#exchange = { request, head, decoder, body };
    this.#feedBody();
    if (this.#inputEnded) this.end();
    this.#answer(request);
    if (request.inputHeld && (body === undefined || body.complete) && this.#state === 'busy') this.#pause();
  }

  #answer(request: HttpRequest): void {
    let reply: Reply | Promise<Reply>;
    try {
      reply = this.#handler(request);
    } catch {
      reply = internalError;
    }
    if (!(reply instanceof Promise)) this.#send(reply);
    else reply.then((it) => this.#send(it), () => this.#send(internalError));
  }

  #feedBody(): void {
    const exchange = this.#exchange;
    if (exchange?.decoder === undefined || exchange.body === undefined || exchange.body.complete || this.#input.length === 0) return;
    const { body, decoder } = exchange;
    // Thousands of tiny chunks in one read become one piece: each piece that waits costs an object.
    const pieces: Uint8Array[] = [];
    const used = decoder.push(this.#input.view(), (payload) => void pieces.push(payload));
    this.#input.skip(used);
    if (pieces.length > 0) body.push(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    if (decoder.failed !== undefined) body.fail(new NaruError('invalid', `malformed request body: ${decoder.failed}`));
    if (decoder.done) {
      body.end();
      if (exchange.request.inputHeld) this.#pause();
    } else if (body.full) this.#pause();
  }

  #send(reply: Reply): void {
    if (this.#state === 'closed') {
      if (reply.kind === 'stream') void discardSource(reply.chunks); // what is 'written' has not begun
      return;
    }
    const { head, body } = this.#exchange!;
    const keep = head.keepAlive && !this.#owner.closing && !this.#inputEnded && (body === undefined || body.complete);
    if (reply.kind === 'takeover') return void this.#takeover(reply);
    if (reply.kind === 'full') {
      this.#output.write(fullReplyBytes(reply, head, keep));
      return this.#finish(keep);
    }
    this.#streaming = true;
    const { signal } = this.#exchange!.request;
    const past = reply.kind === 'written' && !this.#socket.encrypted && head.method !== 'HEAD' && this.#output.empty;
    if (past) this.#pause();
    const done = past ? writePast(reply, head, { output: this.#output, fd: this.#socket.fd, signal, keep })
      : streamReply(reply.kind === 'written' ? asStream(reply) : reply, head, { output: this.#output, signal, keep });
    void done.then((complete) => {
      this.#streaming = false;
      if (complete) this.#finish(keep && head.minorVersion === 1);
      else this.terminate();
    });
  }

  #finish(keep: boolean): void {
    if (this.#state === 'closed') return;
    const body = this.#exchange?.body;
    body?.discard();
    this.#exchange = undefined;
    if (!keep || this.#owner.closing) return void this.#linger((body === undefined || body.complete) && this.#input.length === 0);
    this.#state = 'head';
    this.#deadline = performance.now() + (this.#input.length > 0 ? HEAD_DEADLINE_MS : IDLE_DEADLINE_MS);
    this.#resume();
    // A later turn: many pipelined requests that are answered synchronously must not nest.
    if (this.#input.length > 0) queueMicrotask(() => this.#advance());
  }

  #refuse(status: number, message: string): void {
    const body = `${JSON.stringify({ message })}\n`;
    this.#output.write(Buffer.from(`${renderHead(status, [['Content-Type', 'application/json'], ['Connection', 'close']])}Content-Length: ${body.length}\r\n\r\n${body}`));
    void this.#linger();
  }

  /** `clean`: the client has nothing more to say, so that closing cannot reset the answer on its way. */
  async #linger(clean = false): Promise<void> {
    this.#state = 'lingering';
    this.#input.skip(this.#input.length);
    this.#deadline = performance.now() + IDLE_DEADLINE_MS; // a slow reader may take its time for the answer
    this.#resume();
    await this.#output.drained();
    if (this.#state !== 'lingering') return;
    if (this.#inputEnded || clean) return this.terminate();
    this.#deadline = performance.now() + LINGER_MS;
    this.#socket.shutdown();
  }

  async #takeover(reply: TakeoverReply): Promise<void> {
    const { body, decoder } = this.#exchange!;
    const bodyGoesOn = decoder !== undefined && !decoder.done;
    if (!bodyGoesOn && !this.#socket.encrypted && !this.#inputEnded && this.#input.length === 0 && this.#output.empty) {
      return giveAway(this.#socket.fd, reply, () => this.terminate());
    }
    this.#state = 'taken';
    try {
      const relay = await pumpTakeover(reply, this.#socket, { output: this.#output, inputEnded: this.#inputEnded });
      this.#relay = bodyGoesOn ? decodingRelay(relay, decoder) : relay;
      for (const part of body?.takeQueued() ?? []) relay.data(part);
      if (this.#input.length > 0) this.#relay.data(this.#input.view().slice());
      this.#resume();
    } catch {
      this.terminate();
    }
  }

  #pause(): void {
    if (this.#paused || this.#state === 'closed') return;
    this.#paused = true;
    this.#socket.pause();
  }
  #resume(): void {
    if (!this.#paused || this.#state === 'closed') return;
    if (this.#state === 'busy' && this.#input.length > MAX_PIPELINED_BYTES) return;
    this.#paused = false;
    this.#socket.resume();
  }
}

const internalError: Reply = { kind: 'full', status: 500, headers: [['Content-Type', 'application/json']], body: '{"message":"internal error"}\n' };

async function discardSource(chunks: AsyncIterable<unknown>): Promise<void> {
  try {
    await chunks[Symbol.asyncIterator]().return?.();
  } catch {
    // the source's own failure interests nobody any more
  }
}
