import type { TakeoverReply } from '#api/http/reply.ts';
import { writeOnce } from '#sys/descriptors.ts';
import { acceptKey } from '#api/http/web-socket-frames.ts';
import { pumpWebSocket } from '#api/http/web-socket-pump.ts';
import { NaruError } from '#spec/errors.ts';
import type { Call } from './call.ts';
import type { ClientDescriptor } from './engine-port.ts';
import { errorBody } from './statuses.ts';

const RAW_STREAM = 'application/vnd.docker.raw-stream';
const MULTIPLEXED_STREAM = 'application/vnd.docker.multiplexed-stream';

/** Since API 1.42 a stream of frames says so; before, everything was called raw. */
export const streamType = ({ version }: Pick<Call, 'version'>, tty: boolean): string => (tty || version < 42 ? RAW_STREAM : MULTIPLEXED_STREAM);

/**
 * docker-py reads the head through a buffer and then the socket beneath it: output that comes together with the head is lost
 * to it. Docker starts processes too slowly for that to show.
 */
const readsBeneathItsBuffer = (userAgent: string | undefined): boolean => /^docker-(sdk-python|py)\//.test(userAgent ?? '');

/** The connection becomes the container's stdio. A failure of `run` comes too late for a status: it is told in the stream. */
export function takeover(call: Call, tty: boolean, run: (client: ClientDescriptor) => Promise<void>): TakeoverReply {
  return {
    kind: 'takeover',
    status: call.request.header('upgrade') === undefined ? 200 : 101,
    headers: [['Content-Type', streamType(call, tty)]],
    headAlone: readsBeneathItsBuffer(call.request.header('user-agent')),
    take: async (client) => {
      try {
        await run(client);
      } catch (error) {
        writeOnce(client.fd, errorFrame(errorBody(error).message, tty));
      }
    },
  };
}

/** The client's key. Throws invalid for a request that is no WebSocket handshake (RFC 6455, 4.2.1). */
export function webSocketKey(call: Call): string {
  const key = call.request.header('sec-websocket-key') ?? '';
  if (call.request.header('upgrade')?.toLowerCase() !== 'websocket' || Buffer.from(key, 'base64').byteLength !== 16) {
    throw new NaruError('invalid', 'this is a WebSocket: the request needs "Upgrade: websocket" and a Sec-WebSocket-Key');
  }
  if (call.request.header('sec-websocket-version') !== '13') throw new NaruError('invalid', 'only version 13 of the WebSocket protocol is spoken');
  return key;
}

/** The connection becomes a WebSocket that carries the container's stdio, stdout and stderr unmarked as with Docker: binary messages,
 *  before API 1.28 text. */
export function webSocketTakeover(call: Call, key: string, run: (client: ClientDescriptor) => Promise<void>): TakeoverReply {
  return {
    kind: 'takeover', status: 101, upgrade: 'websocket', headers: [['Sec-WebSocket-Accept', acceptKey(key)]],
    take: (client) => pumpWebSocket(client, { text: call.version < 28, take: run, fault: (error) => Buffer.from(`${errorBody(error).message}\r\n`) }),
  };
}

/** The message as Docker writes it into an attached stream: on stdout, with the 8-byte header unless there is a tty. */
export function errorFrame(message: string, tty: boolean): Buffer {
  const text = Buffer.from(`${message}\r\n`);
  if (tty) return text;
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(text.byteLength, 4);
  return Buffer.concat([header, text]);
}
