import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '#api/engine-port.ts';
import type { ListenerSpec } from '#api/listeners.ts';
import { serveApi } from '#api/serve-api.ts';

export interface Answer { readonly status: number; readonly headers: Record<string, string | string[] | undefined>; readonly text: string; readonly json: unknown }

/** An API over `engine` on a unix socket of its own, closed at the end of the scope. */
export async function apiServer(engine: Engine, extra: { listeners?: readonly ListenerSpec[]; maxConnections?: number } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'naru-api.'));
  const socket = join(directory, 's');
  const faults: unknown[] = [];
  const server = await serveApi({
    engine, version: '0.1.0', listeners: [{ address: `unix://${socket}` }, ...(extra.listeners ?? [])],
    ...(extra.maxConnections === undefined ? {} : { maxConnections: extra.maxConnections }), onFault: (error) => void faults.push(error),
  });
  const close = async (): Promise<void> => {
    await server.close(1_000);
    rmSync(directory, { recursive: true, force: true });
  };
  const ask = (method: string, path: string, options: { body?: unknown; headers?: Record<string, string> } = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const body = options.body === undefined ? undefined : JSON.stringify(options.body);
      const headers = { ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }), ...options.headers };
      const req = request({ socketPath: socket, method, path, headers, agent: false }, (res) => {
        const parts: Buffer[] = [];
        res.on('data', (part: Buffer) => parts.push(part));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const isJson = res.headers['content-type'] === 'application/json' && text !== '' && !text.trim().includes('\n');
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json: isJson ? JSON.parse(text) : undefined });
        });
      });
      req.on('error', reject);
      req.end(body);
    });
  return { server, socket, ask, faults, [Symbol.asyncDispose]: close };
}
