import type { ClientDescriptor, WrittenBody } from '#api/engine-port.ts';

/**
 * What a handler answers, as a value. The connection adds framing, `Date` and `Connection`; a HEAD request gets the same
 * head without the body.
 */
export type Reply = FullReply | StreamReply | WrittenReply | TakeoverReply;

export interface FullReply {
  readonly kind: 'full';
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array | string;
}

/** The head is sent at once; then every chunk as it comes. A failing source cuts the connection, so that the client sees an
 *  incomplete answer. When the client goes away the source is destroyed (Readable) or returned (iterator). */
export interface StreamReply {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: HeaderList;
  readonly chunks: AsyncIterable<Uint8Array | string>;
}

/** A body of known size: where nothing has to be encrypted, it is written to the client's socket by who has it, past this server. */
export interface WrittenReply {
  readonly kind: 'written';
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: WrittenBody;
}

/** The head is sent, then the connection is `take`'s: a descriptor that lives until the promise settles. `take` never
 *  rejects. Only for requests that called holdInput(). */
export interface TakeoverReply {
  readonly kind: 'takeover';
  readonly status: 101 | 200;
  readonly headers: HeaderList;
  /** Nothing may follow the head before the client has read it (bounded: HEAD_READ_DEADLINE_MS). */
  readonly headAlone?: boolean;
  /** What a 101 switches to; default `tcp`. */
  readonly upgrade?: string;
  take(client: ClientDescriptor): Promise<void>;
}

/** Names and values in the order in which they are sent. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

const REASONS: Readonly<Record<number, string>> = {
  101: 'UPGRADED', 200: 'OK', 201: 'Created', 204: 'No Content', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized',
  403: 'Forbidden', 404: 'Not Found', 408: 'Request Timeout', 409: 'Conflict', 413: 'Request Entity Too Large',
  414: 'URI Too Long', 417: 'Expectation Failed', 431: 'Request Header Fields Too Large', 500: 'Internal Server Error',
  501: 'Not Implemented', 503: 'Service Unavailable', 505: 'HTTP Version Not Supported', 507: 'Insufficient Storage',
};

/** No header may smuggle a line break into the answer: such a value is an internal fault, not something to send. */
const UNSENDABLE = /[\x00-\x08\x0a-\x1f\x7f]/;

const rendered = new WeakMap<HeaderList, Map<number, string>>();

/**
 * Status line and headers, up to the last header's CRLF (the caller adds framing and the empty line). A frozen list is a
 * constant: its text is kept.
 */
export function renderHead(status: number, headers: HeaderList): string {
  if (!Object.isFrozen(headers)) return render(status, headers);
  let byStatus = rendered.get(headers);
  if (byStatus === undefined) rendered.set(headers, (byStatus = new Map()));
  let head = byStatus.get(status);
  if (head === undefined) byStatus.set(status, (head = render(status, headers)));
  return head;
}

function render(status: number, headers: HeaderList): string {
  let head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Unknown'}\r\n`;
  for (const [name, value] of headers) {
    if (UNSENDABLE.test(value)) continue;
    head += `${name}: ${value}\r\n`;
  }
  return head;
}

export const bodilessStatus = (status: number): boolean => status === 204 || status === 304 || status < 200;

let dateSecond = 0;
let dateLine = '';

/** The `Date:` header line, rendered once a second. */
export function dateHeader(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateLine;
}
