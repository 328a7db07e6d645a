import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

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
