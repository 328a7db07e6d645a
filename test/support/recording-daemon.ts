import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RecordedRequest { readonly method: string; /** Without the version. */ readonly path: string; readonly query: Record<string, string[]>; readonly body: unknown }
/** What is answered: JSON by default. `hijack` sends its bytes after a 101. */
export interface Answer { readonly status?: number; readonly type?: string; readonly json?: unknown; readonly body?: string | Uint8Array; readonly hijack?: Uint8Array; readonly delay?: number }

export const CONTAINER_ID = 'c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789';
export const IMAGE_ID = 'sha256:beef000123456789beef000123456789beef000123456789beef000123456789';

/** A daemon that does nothing: it writes down what it is asked, and gives canned answers. */
export interface RecordingDaemon {
  readonly host: string;
  readonly requests: RecordedRequest[];
  /** `GET /containers/json` to what is answered in place of the standard answer. */
  readonly answers: Map<string, Answer>;
  close(): Promise<void>;
}

export async function startRecordingDaemon(): Promise<RecordingDaemon> {
  const directory = mkdtempSync(join(tmpdir(), 'naru-recorder-'));
  const socket = join(directory, 'engine.sock');
  const requests: RecordedRequest[] = [];
  const answers = new Map<string, Answer>();
  const open = new Set<Socket>();

  const server = createServer({ allowHalfOpen: true }, (connection) => {
    open.add(connection);
    connection.on('close', () => open.delete(connection));
    connection.on('error', () => {});
    let held: Buffer = Buffer.alloc(0);
    let taken = false;
    connection.on('data', (chunk: Buffer) => {
      if (taken) return;
      held = Buffer.concat([held, chunk]);
      for (let parsed = parseRequest(held); parsed !== undefined && !taken; parsed = parseRequest(held)) {
        held = held.subarray(parsed.size);
        requests.push(parsed.request);
        const { method, path } = parsed.request;
        const answer = answers.get(`${method} ${path}`) ?? standardAnswer(method, path, parsed.upgrade);
        taken = answer.hijack !== undefined;
        reply(connection, method, answer);
      }
    });
    connection.on('end', () => connection.end());
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    host: `unix://${socket}`, requests, answers,
    async close() {
      for (const connection of open) connection.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(directory, { recursive: true });
    },
  };
}

function parseRequest(bytes: Buffer): { request: RecordedRequest; size: number; upgrade: boolean } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...headerLines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers = new Map(headerLines.map((header) => [header.slice(0, header.indexOf(':')).toLowerCase(), header.slice(header.indexOf(':') + 1).trim()]));
  let body: Buffer = Buffer.alloc(0);
  let at = end + 4;
  if (headers.get('transfer-encoding') === 'chunked') {
    for (;;) {
      const lineEnd = bytes.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(bytes.subarray(at, lineEnd).toString(), 16);
      if (bytes.length < lineEnd + 2 + size + 2) return undefined;
      body = Buffer.concat([body, bytes.subarray(lineEnd + 2, lineEnd + 2 + size)]);
      at = lineEnd + 2 + size + 2;
      if (size === 0) break;
    }
  } else {
    const size = Number(headers.get('content-length') ?? 0);
    if (bytes.length < at + size) return undefined;
    body = bytes.subarray(at, at + size);
    at += size;
  }
  const [method = '', target = '/'] = line.split(' ');
  const url = new URL(target, 'http://engine');
  const query: Record<string, string[]> = {};
  for (const [key, value] of url.searchParams) (query[key] ??= []).push(value);
  const isJson = headers.get('content-type')?.startsWith('application/json') === true && body.length > 0;
  return { request: { method, path: decodeURIComponent(url.pathname).replace(/^\/v1\.\d+/, ''), query, body: isJson ? JSON.parse(body.toString()) : body.toString('latin1') }, size: at, upgrade: headers.has('upgrade') };
}

function reply(connection: Socket, method: string, answer: Answer): void {
  if (answer.hijack !== undefined) {
    connection.write('HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    if (answer.hijack.length > 0) connection.write(answer.hijack);
    setTimeout(() => connection.end(), 20);
    return;
  }
  const isJson = answer.json !== undefined;
  const body = isJson ? Buffer.from(JSON.stringify(answer.json)) : Buffer.from(answer.body ?? '');
  const type = answer.type ?? (isJson ? 'application/json' : undefined);
  const head = `HTTP/1.1 ${answer.status ?? 200} X\r\nApi-Version: 1.50\r\nOstype: linux\r\n${type === undefined ? '' : `Content-Type: ${type}\r\n`}`;
  if (answer.delay === undefined) {
    connection.write(`${head}${answer.status === 204 ? '' : `Content-Length: ${body.length}\r\n`}\r\n`);
    if (method !== 'HEAD') connection.write(body);
    return;
  }
  // The head at once, the body later: as `wait` does.
  connection.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
  setTimeout(() => connection.write(Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])), answer.delay);
}

function standardAnswer(method: string, path: string, upgrade: boolean): Answer {
  if (upgrade) return { hijack: new Uint8Array(0) };
  if (path === '/_ping') return { body: 'OK' };
  if (path === '/containers/create') return { status: 201, json: { Id: CONTAINER_ID, Warnings: [] } };
  if (/\/exec$/.test(path)) return { status: 201, json: { Id: CONTAINER_ID } };
  if (/^\/exec\/.*\/json$/.test(path)) return { json: { ExitCode: 0, Running: false } };
  if (/\/wait$/.test(path)) return { json: { StatusCode: 0 }, delay: 60 };
  if (/\/top$/.test(path)) return { json: { Titles: ['PID', 'CMD'], Processes: [['1', 'sleep 1000'], ['22', 'sh']] } };
  if (/^\/containers\/[^/]+\/json$/.test(path)) return { json: { Id: CONTAINER_ID, State: { Running: true, Status: 'running' }, Config: { Tty: false, OpenStdin: true }, HostConfig: {}, NetworkSettings: { Ports: {} } } };
  if (/^\/volumes\/[^/]+$/.test(path) && method === 'GET') return { json: { CreatedAt: '2024-01-01T00:00:00Z', Driver: 'local', Labels: null, Mountpoint: '/m', Name: 'it', Options: null, Scope: 'local' } };
  if (/^\/(images\/.*\/json|networks\/[^/]+)$/.test(path) && method === 'GET') return { json: { Id: IMAGE_ID, Name: 'it' } };
  if (path === '/images/create') return { body: '{"status":"done"}\n' };
  if (path === '/images/load') return { json: { stream: 'Loaded image: x\n' } };
  if (path === '/events') return {};
  if (path === '/commit') return { status: 201, json: { Id: IMAGE_ID } };
  if (path === '/volumes/create') return { status: 201, json: { Name: 'made', Driver: 'local' } };
  if (path === '/networks/create') return { status: 201, json: { Id: CONTAINER_ID } };
  if (/\/(prune|update)$/.test(path)) return { json: { Warnings: null } };
  if (method === 'DELETE' && path.startsWith('/images/')) return { json: [{ Untagged: 'x:latest' }] };
  if (method === 'GET' && path === '/volumes') return { json: { Volumes: [] } };
  if (method === 'GET' && /\/logs$/.test(path)) return { type: 'application/vnd.docker.multiplexed-stream' };
  if (method === 'GET') return { json: [] };
  return { status: 204 };
}
