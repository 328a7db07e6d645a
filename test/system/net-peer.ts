import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestNamespace } from '#test/system/net-namespaces.ts';

/** A program in a namespace that serves and asks (see net-agent.ts). One request at a time. */
export class NetPeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: TestNamespace) {
    const agent = new URL('./net-agent.ts', import.meta.url).pathname;
    this.#child = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, agent], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async serve(protocol: 'tcp' | 'udp', port: number, name: string, host = '0.0.0.0'): Promise<void> {
    const answer = await this.#request({ op: 'serve', protocol, port, name, host });
    if (answer !== 'ok') throw new Error(`serve ${protocol} ${port}: ${answer}`);
  }

  /** `NAME ADDRESS`: who answered, and whom it saw. */
  ask(protocol: 'tcp' | 'udp', host: string, port: number, options: { timeoutMs?: number; localPort?: number } = {}): Promise<string> {
    return this.#request({ op: 'ask', protocol, host, port, timeoutMs: options.timeoutMs ?? 3000, localPort: options.localPort ?? 0 });
  }

  /** Connect over TCP to a server named `echo`, and stay connected. */
  open(host: string, port: number): Promise<string> {
    return this.#request({ op: 'open', protocol: 'tcp', host, port });
  }

  /** Send a word over that connection; what came back. */
  say(word: string): Promise<string> {
    return this.#request({ op: 'say', protocol: 'tcp', name: word });
  }

  close(): void {
    this.#child.stdin!.end();
  }

  /** Close, and wait until it is gone. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.close();
    await gone;
  }

  async #request(request: object): Promise<string> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the agent ended');
    return JSON.parse(value) as string;
  }
}
