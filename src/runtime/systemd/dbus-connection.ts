import { connect, type Socket } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import { decodeMessage, encodeCall, type Message, type MethodCall } from './dbus-message.ts';
import type { DBusValue } from './dbus-value.ts';

const CALL_DEADLINE_MS = 30_000;
const CONNECT_DEADLINE_MS = 5000;

/** A peer that answered with an error; `name` as org.freedesktop.systemd1.NoSuchUnit. */
export class DBusError extends NaruError {
  readonly errorName: string;
  constructor(errorName: string, message: string) {
    super('unavailable', message);
    this.errorName = errorName;
  }
}

/** One connection to a bus, or to a service itself. */
export class DBusConnection {
  readonly #socket: Socket;
  readonly #calls = new Map<number, PromiseWithResolvers<readonly DBusValue[]>>();
  readonly #listeners: ((signal: Message) => void)[] = [];
  #serial = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #ended: NaruError | undefined;

  /** Says who we are by the socket's credentials. Rejects when nobody listens at `path`, or does not want us. */
  static async open(path: string): Promise<DBusConnection> {
    const socket = connect(path);
    const ready = Promise.withResolvers<Buffer>();
    const fail = (why: string): void => ready.reject(new NaruError('unavailable', `D-Bus at ${path}: ${why}`));
    const timer = setTimeout(() => fail('no answer'), CONNECT_DEADLINE_MS);
    let said = Buffer.alloc(0);
    // No identity of our own words: in a user namespace our number is not what the kernel tells them. BEGIN at once: systemd does not
    // look at a message that it reads together with it before the next one comes.
    socket.on('connect', () => socket.write('\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n'));
    socket.on('error', (error) => fail(error.message));
    socket.on('end', () => fail('it hung up'));
    const listen = (bytes: Buffer): void => {
      said = Buffer.concat([said, bytes]);
      for (let end = said.indexOf('\r\n'); end >= 0; end = said.indexOf('\r\n')) {
        const line = said.toString('latin1', 0, end);
        said = said.subarray(end + 2);
        if (line.startsWith('OK ')) return ready.resolve(said);
        if (!line.startsWith('DATA')) return fail(`it does not take us: ${line}`);
      }
    };
    socket.on('data', listen);
    try {
      return new DBusConnection(socket, { listen, rest: await ready.promise });
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(socket: Socket, { listen, rest }: { listen: (bytes: Buffer) => void; rest: Buffer }) {
    this.#socket = socket;
    socket.off('data', listen);
    socket.removeAllListeners('error').removeAllListeners('end');
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('close', () => this.#end('the connection ended'));
    this.#receive(rest);
  }

  /** The reply's values. Rejects with DBusError when the answer is an error. */
  async call(call: MethodCall): Promise<readonly DBusValue[]> {
    if (this.#ended !== undefined) throw this.#ended;
    const serial = ++this.#serial;
    const answer = Promise.withResolvers<readonly DBusValue[]>();
    this.#calls.set(serial, answer);
    const timer = setTimeout(() => answer.reject(new NaruError('unavailable', `D-Bus: no answer to ${call.member} within ${CALL_DEADLINE_MS / 1000} s`)), CALL_DEADLINE_MS);
    this.#socket.write(encodeCall(call, serial));
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#calls.delete(serial);
    }
  }

  onSignal(listener: (signal: Message) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    try {
      for (let next = decodeMessage(this.#bytes); next !== undefined; next = decodeMessage(this.#bytes)) {
        this.#bytes = this.#bytes.subarray(next.length);
        this.#dispatch(next.message);
      }
    } catch (error) {
      this.#end((error as Error).message);
      this.#socket.destroy();
    }
  }

  #dispatch(message: Message): void {
    if (message.type === 'signal') for (const listener of this.#listeners) listener(message);
    const pending = message.replySerial === undefined ? undefined : this.#calls.get(message.replySerial);
    if (message.type === 'reply') pending?.resolve(message.body);
    else if (message.type === 'error') pending?.reject(new DBusError(message.errorName ?? '', String(message.body[0] ?? message.errorName)));
  }

  #end(why: string): void {
    this.#ended ??= new NaruError('unavailable', `D-Bus: ${why}`);
    for (const pending of this.#calls.values()) pending.reject(this.#ended);
  }
}
