import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TestNamespace } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';
import { TestDaemon, type Ran } from './daemon.ts';

/** Of a container's inspection, as far as it is read. */
interface Facts { readonly State: { readonly Pid: number }; readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string; readonly GlobalIPv6Address: string }>> } }

/** A program for TestDaemon: the daemon on a kernel that lacks these (lesser-kernel.ts). */
export const lesserKernel = (...lacks: string[]): readonly string[] => [process.execPath, join(import.meta.dirname, 'lesser-kernel.ts'), lacks.join(',')];

/**
 * A host of the test's own, a network namespace, with a daemon that the Docker CLI drives, and another host beside it:
 *
 *   host 10.9.0.1, fd09::1 ──wire── outside 10.9.0.2, fd09::2 (the host's way out)
 *
 * Who asks and serves, in either of them or in a container, is a program of the test's (NetPeer) in that network namespace.
 */
export class OwnHost {
  readonly host: TestNamespace;
  readonly outside: TestNamespace;
  daemon!: TestDaemon;
  readonly #tag: string;
  readonly #spaces = new Map<string, TestNamespace>();
  readonly #peers = new Map<string, NetPeer>();

  private constructor(tag: string) {
    this.#tag = tag;
    [this.host, this.outside] = ['host', 'outside'].map((name) => new TestNamespace(`naru-${tag}-${name}`)) as [TestNamespace, TestNamespace];
    const { host, outside } = this;
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [space, number] of [[host, 1], [outside, 2]] as const) {
      space.ip('address', 'add', `10.9.0.${number}/24`, 'dev', 'wire');
      space.ip('address', 'add', `fd09::${number}/64`, 'dev', 'wire', 'nodad');
      space.ip('link', 'set', 'wire', 'up');
    }
    host.ip('route', 'add', 'default', 'via', '10.9.0.2');
  }

  /** `tag`: of the names of the namespaces. The rest is TestDaemon's. */
  static async start(tag: string, options: Omit<Parameters<typeof TestDaemon.start>[0] & object, 'namespace'> = {}): Promise<OwnHost> {
    const own = new OwnHost(tag);
    try {
      own.daemon = await TestDaemon.start({ ...options, namespace: own.host });
    } catch (error) {
      for (const space of [own.host, own.outside]) space.remove();
      throw error;
    }
    return own;
  }

  /** A container that sleeps. */
  sleeper(name: string, ...flags: string[]): void {
    this.daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '600');
  }

  inspect(name: string, format: string): string {
    return this.daemon.ok('inspect', '-f', format, name);
  }

  address(name: string, network = 'bridge'): string {
    return this.#facts(name).NetworkSettings.Networks[network]!.IPAddress;
  }

  address6(name: string, network = 'bridge'): string {
    return this.#facts(name).NetworkSettings.Networks[network]!.GlobalIPv6Address;
  }

  /** Not by the command line: they are asked for often. */
  #facts(name: string): Facts {
    const { status, json, text } = this.daemon.api('GET', `/containers/${name}/json`);
    if (status !== 200) throw new Error(`container ${name}: ${text}`);
    return json as Facts;
  }

  /** `host`, `outside`, or the network namespace of the container of this name; that one is held, and outlives the container, until `letGo`. */
  space(name: string): TestNamespace {
    if (name === 'host' || name === 'outside') return this[name];
    const held = this.#spaces.get(name) ?? new TestNamespace(`naru-${this.#tag}-${name}`, this.#facts(name).State.Pid);
    this.#spaces.set(name, held);
    return held;
  }

  /** Who asks and serves there; begun when it is first wanted. */
  in(name: string): NetPeer {
    const peer = this.#peers.get(name) ?? new NetPeer(this.space(name));
    this.#peers.set(name, peer);
    return peer;
  }

  /** One more program there. */
  another(name: string): NetPeer {
    const peer = new NetPeer(this.space(name));
    this.#peers.set(`${name} ${this.#peers.size}`, peer);
    return peer;
  }

  /** End the peers (of all, or of one container) and let go of containers' namespaces. */
  async letGo(name?: string): Promise<void> {
    const mine = (key: string): boolean => name === undefined || key === name || key.startsWith(`${name} `);
    for (const [key, peer] of [...this.#peers].filter(([each]) => mine(each))) {
      this.#peers.delete(key);
      await peer.end();
    }
    for (const [key, space] of [...this.#spaces].filter(([each]) => mine(each))) {
      this.#spaces.delete(key);
      space.remove();
    }
  }

  /** `docker` with these words is refused, in these. */
  refused(pattern: RegExp, ...words: string[]): Ran {
    const ran = this.daemon.docker(...words);
    assert.notEqual(ran.code, 0, `docker ${words.join(' ')} was accepted`);
    assert.match(ran.err, pattern, words.join(' '));
    return ran;
  }

  /** All that nftables has here, without counters. */
  ruleset(): string {
    return this.host.exec('nft', '-s', 'list', 'ruleset');
  }

  /** The elements of maps, as nftables writes them: `tcp . 8080 : 172.17.0.2 . 80`. */
  published(): string[] {
    return [...this.ruleset().matchAll(/elements = \{([^}]*)\}/g)].flatMap((match) => match[1]!.split(',')).map((each) => each.trim()).filter((each) => /^(tcp|udp|sctp) \. .* : /.test(each)).sort();
  }

  /** Tracked flows that this extended regular expression finds. */
  tracked(what: string): number {
    return Number(this.host.exec('sh', '-c', `grep -cE "${what}" /proc/net/nf_conntrack || true`));
  }

  async until(what: string, check: () => boolean | Promise<boolean>, seconds = 10): Promise<void> {
    for (const end = Date.now() + seconds * 1000; !(await check()); await pause(20)) if (Date.now() > end) assert.fail(`never: ${what}; the log: ${this.daemon.log()}`);
  }

  /** For after a test: all containers and networks go, and what is left then is an error. */
  async clear(): Promise<void> {
    await this.letGo();
    assert.equal(await this.daemon.emptied(), '');
  }

  async end(): Promise<void> {
    await this.letGo();
    await this.daemon.destroy();
    for (const space of [this.host, this.outside]) space.remove();
  }
}
