import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A registry server of somebody's, on a port of its own, with a directory of its own; both are gone afterwards. */
export class RegistryProcess implements AsyncDisposable {
  readonly host: string;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(host: string, directory: string, process: ChildProcess) {
    this.host = host;
    this.#directory = directory;
    this.#process = process;
  }

  /** Resolves when it accepts connections. */
  static async start(command: (place: { directory: string; port: number }) => readonly string[]): Promise<RegistryProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'naru-registry.'));
    const port = await freePort();
    const [program, ...args] = command({ directory, port }) as [string, ...string[]];
    const child = spawn(program, args, { stdio: 'ignore' });
    for (let i = 0; i < 500; i++) {
      if (child.exitCode !== null) throw new Error(`${program} ended`);
      if (await listens(port)) return new RegistryProcess(`127.0.0.1:${port}`, directory, child);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${program} does not answer`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Whether somebody accepts connections, with TLS or without. */
const listens = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port }, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
