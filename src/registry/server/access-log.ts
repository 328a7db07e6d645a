import { createWriteStream } from 'node:fs';

/** One request, as one line of JSON. */
export interface AccessEntry {
  time: string; id: string; remote: string; user?: string; method: string; path: string; status: number; bytes: number; ms: number; agent?: string; error?: string;
}
export interface AccessLog extends AsyncDisposable { write(entry: AccessEntry): void }

/** Lines that may wait for a slow reader of standard output; more are left out rather than kept. */
const MAX_PENDING_BYTES = 1 << 20;

/** `-`: standard output; `off`: nowhere; else a file that is appended to. */
export function accessLog(where: string): AccessLog {
  if (where === 'off') return { write: () => undefined, [Symbol.asyncDispose]: async () => undefined };
  const stream = where === '-' ? process.stdout : createWriteStream(where, { flags: 'a', mode: 0o600 });
  stream.on('error', () => undefined);
  return {
    write(entry) {
      if (stream.writableLength < MAX_PENDING_BYTES) stream.write(`${JSON.stringify(entry)}\n`);
    },
    async [Symbol.asyncDispose]() {
      if (where !== '-') await new Promise<void>((resolve) => stream.end(() => resolve()));
    },
  };
}
