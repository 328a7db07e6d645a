import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

/** Debian's docker-registry, on a port of its own, with storage of its own. */
export class DockerRegistry implements AsyncDisposable {
  readonly host: string;
  readonly #directory: string;
  readonly #process: ChildProcess;

  private constructor(host: string, directory: string, process: ChildProcess) {
    this.host = host;
    this.#directory = directory;
    this.#process = process;
  }

  /** users: name to password; token: whose tokens count (PEM file of the certificate); tls: PEM files. */
  static async start({ users, token, tls }: { users?: Record<string, string>; token?: { realm: string; service: string; issuer: string; certificate: string }; tls?: { certificate: string; key: string } } = {}): Promise<DockerRegistry> {
    const directory = mkdtempSync(join(tmpdir(), 'naru-registry.'));
    const port = await freePort();
    const auth = token !== undefined ? `auth: {token: {realm: "${token.realm}", service: "${token.service}", issuer: "${token.issuer}", rootcertbundle: ${token.certificate}}}\n`
      : users === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${directory}/htpasswd}}\n`;
    if (users !== undefined) writeFileSync(join(directory, 'htpasswd'), Object.entries(users).map(([name, password]) => bcryptLine(name, password)).join(''));
    writeFileSync(join(directory, 'config.yml'), `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${directory}/data}, delete: {enabled: true}}\n${auth}http: {addr: "127.0.0.1:${port}"${tls === undefined ? '' : `, tls: {certificate: ${tls.certificate}, key: ${tls.key}}`}}\n`);
    const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
    const registry = new DockerRegistry(`127.0.0.1:${port}`, directory, child);
    for (let i = 0; i < 500; i++) {
      if (child.exitCode !== null) throw new Error('docker-registry ended');
      if (await listens(port)) return registry;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('docker-registry does not answer');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Whether somebody accepts connections, with TLS or without. */
export const listens = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port }, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
});

function bcryptLine(name: string, password: string): string {
  const { stdout, status } = spawnSync('python3', ['-c', 'import crypt,sys;print(crypt.crypt(sys.argv[1],"$2y$05$"+"abcdefghijklmnopqrstuu"))', password], { encoding: 'utf8' });
  if (status !== 0 || !stdout.startsWith('$2')) throw new Error('python3 cannot make a bcrypt hash');
  return `${name}:${stdout}`;
}

/** A wire to a registry that counts bytes and can be cut. */
export class Wire implements AsyncDisposable {
  readonly host: string;
  /** Bytes from the registry to the client. */
  received = 0;
  /** Called with each connection's count: true cuts the connection. */
  cut: (received: number) => boolean = () => false;
  /** Bytes per second for each connection; 0: no limit. */
  speed = 0;
  /** Nothing passes until it resolves: what is on its way arrives meanwhile. */
  held: Promise<void> = Promise.resolve();
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#server = server;
    this.#sockets = sockets;
  }

  static async to(host: string): Promise<Wire> {
    const [address, port] = host.split(':');
    const sockets = new Set<Socket>();
    let wire: Wire | undefined;
    let open: Promise<void> | undefined;
    const server = createServer((client) => {
      const up = connect({ host: address!, port: Number(port) });
      for (const socket of [client, up]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          sockets.delete(socket);
          client.destroy();
          up.destroy();
        });
      }
      client.pipe(up);
      let count = 0;
      up.on('data', (chunk: Buffer) => {
        const { speed, cut, held } = wire!;
        count += chunk.byteLength;
        wire!.received += chunk.byteLength;
        const ready = client.write(chunk);
        if (cut(count)) {
          up.pause();
          return void client.end(() => up.destroy());
        }
        if (ready && speed === 0 && held === open) return;
        // As fast as allowed, and no faster than the client takes it: nothing piles up here.
        up.pause();
        const waits: Promise<unknown>[] = [held, new Promise((resolve) => setTimeout(resolve, speed === 0 ? 0 : (chunk.byteLength / speed) * 1000))];
        if (!ready) waits.push(new Promise((resolve) => client.once('drain', () => resolve(undefined)).once('close', () => resolve(undefined))));
        void Promise.all(waits).then(() => up.resume());
      });
      up.on('end', () => client.end());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    wire = new Wire(server, sockets);
    open = wire.held;
    return wire;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
