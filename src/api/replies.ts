import type { FullReply, HeaderList, Reply, StreamReply, WrittenReply } from '#api/http/reply.ts';
import type { WrittenBody } from './engine-port.ts';
import { afterFirstItem } from './first-item.ts';
import { errorBody, errorStatus } from './statuses.ts';

const JSON_TYPE: readonly [string, string] = ['Content-Type', 'application/json'];
const JSON_HEADERS: HeaderList = Object.freeze([JSON_TYPE]);
const NO_HEADERS: HeaderList = Object.freeze([]);

export const json = (value: unknown, status = 200): FullReply => ({ kind: 'full', status, headers: JSON_HEADERS, body: `${JSON.stringify(value)}\n` });

export const noContent = (): FullReply => ({ kind: 'full', status: 204, headers: NO_HEADERS, body: '' });

/** 200 without a body. */
export const ok = (headers: HeaderList = NO_HEADERS, status = 200): FullReply => ({ kind: 'full', status, headers, body: '' });

export const plainText = (body: string): FullReply => ({ kind: 'full', status: 200, headers: [['Content-Type', 'text/plain; charset=utf-8']], body });

export const errorReply = (error: unknown): FullReply => {
  const status = errorStatus(error);
  if (status === 304) return { kind: 'full', status, headers: NO_HEADERS, body: '' };
  return { kind: 'full', status, headers: JSON_HEADERS, body: `${JSON.stringify(errorBody(error))}\n` };
};

export const bytes = (type: string, chunks: AsyncIterable<Uint8Array | string>, headers: HeaderList = []): StreamReply => ({
  kind: 'stream', status: 200, headers: [['Content-Type', type], ...headers], chunks,
});

export const written = (type: string, body: WrittenBody): WrittenReply => ({ kind: 'written', status: 200, headers: [['Content-Type', type]], body });

/** JSON values, one a line, each sent as it comes; the head goes out at once. A failing source cuts the connection. */
export const jsonLines = (values: AsyncIterable<unknown>): StreamReply => bytes('application/json', encodeLines(values));

async function* encodeLines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`;
}

/**
 * A progress stream. It waits for the first message, so that what fails at the start gets a proper status; a later failure
 * becomes the stream's last message, as Docker's clients expect.
 */
export async function progress(messages: AsyncIterable<unknown>): Promise<Reply> {
  return bytes('application/json', encodeProgress(await afterFirstItem(messages)));
}

async function* encodeProgress(messages: AsyncIterable<unknown>): AsyncGenerator<string> {
  try {
    for await (const message of messages) yield `${JSON.stringify(message)}\r\n`;
  } catch (error) {
    const { message, hint } = errorBody(error);
    yield `${JSON.stringify({ errorDetail: { message }, error: message, ...(hint === undefined ? {} : { hint }) })}\r\n`;
  }
}
