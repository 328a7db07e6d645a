import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NARU } from './daemon.ts';
import { listens } from './docker-registry.ts';

/** `naru registry serve` on a port of its own, with data of its own. */
export class NaruRegistry implements AsyncDisposable {
  readonly host: string;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(host: string, directory: string, process: ChildProcess) {
    this.host = host;
    this.#directory = directory;
    this.#process = process;
  }

  static async start(...options: string[]): Promise<NaruRegistry> {
    const directory = mkdtempSync(join(tmpdir(), 'naru-registry.'));
    const port = await freePort();
    const child = spawn(NARU, ['registry', 'serve', '--data', directory, '--port', String(port), '--access-log', 'off', ...options], { stdio: 'ignore' });
    const registry = new NaruRegistry(`127.0.0.1:${port}`, directory, child);
    for (let i = 0; i < 500; i++) {
      if (child.exitCode !== null) throw new Error('naru registry ended');
      if (await listens(port)) return registry;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('naru registry does not answer');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
