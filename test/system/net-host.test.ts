import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';
import { NetPeer } from './net-peer.ts';

/** The daemon's host is a namespace: 10.9.0.1 on a wire to `outside`, 10.9.0.2. */
describe('a host of its own, by the Docker CLI', () => {
  let host: TestNamespace, outside: TestNamespace;
  let daemon: TestDaemon;
  let asker: NetPeer, here: NetPeer;
  const held: TestNamespace[] = [], peers: NetPeer[] = [];

  before(async () => {
    [host, outside] = ['host', 'outside'].map((name) => new TestNamespace(`naru-own-${name}`)) as [TestNamespace, TestNamespace];
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [space, number] of [[host, 1], [outside, 2]] as const) {
      space.ip('address', 'add', `10.9.0.${number}/24`, 'dev', 'wire');
      space.ip('address', 'add', `fd09::${number}/64`, 'dev', 'wire', 'nodad');
      space.ip('link', 'set', 'wire', 'up');
    }
    daemon = await TestDaemon.start({ namespace: host });
    [asker, here] = [new NetPeer(outside), new NetPeer(host)];
  });
  afterEach(async () => {
    for (const each of peers.splice(0)) await each.end();
    for (const each of held.splice(0)) each.remove();
    assert.equal(await daemon.emptied(), '');
  });
  after(async () => {
    await asker?.end();
    await here?.end();
    await daemon?.destroy();
    for (const space of [host, outside]) space?.remove();
  });

  const sleeper = (name: string, ...flags: string[]): void => void daemon.ok('run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '600');
  const inspect = (name: string, format: string): string => daemon.ok('inspect', '-f', format, name);
  /** The container's network namespace, which outlives the container while it is held. */
  const hold = (name: string): TestNamespace => {
    const space = new TestNamespace(`naru-own-${name}${held.length}`, Number(inspect(name, '{{.State.Pid}}')));
    held.push(space);
    return space;
  };
  /** Serves in the container. */
  const serve = async (name: string, protocol: 'tcp' | 'udp', port: number, address?: string): Promise<void> => {
    const peer = new NetPeer(hold(name));
    peers.push(peer);
    await peer.serve(protocol, port, name, address);
  };
  const letGo = async (): Promise<void> => {
    for (const each of peers.splice(0)) await each.end();
    for (const each of held.splice(0)) each.remove();
  };
  const until = async (what: string, check: () => boolean | Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 10_000; !(await check()); await pause(20)) if (Date.now() > end) assert.fail(`never: ${what}`);
  };
  /** Always from the same port: one flow to the kernel. */
  const ask = (address = '10.9.0.1'): Promise<string> => asker.ask('udp', address, 5353, { localPort: 40_000, timeoutMs: 150 });
  const tracked = (what: string): number => Number(host.exec('sh', '-c', `grep -cE "${what}" /proc/net/nf_conntrack || true`));

  for (const [family, address] of [['IPv4', '10.9.0.1'], ['IPv6', 'fd09::1']] as const) test(`a client that never stops sending UDP gets to who publishes the port now (${family})`, async () => {
    daemon.ok('network', 'create', '--ipv6', 'six');
    const answer = (name: string): string => `${name} ${address.replace(/.$/, '2')}`;
    await ask(address); // a flow to the host itself: nobody publishes the port yet
    sleeper('one', '--network', 'six', '-p', '5353:53/udp');
    await serve('one', 'udp', 53, family === 'IPv6' ? '::' : '0.0.0.0');
    await until('the first publisher', async () => (await ask(address)) === answer('one'));
    await letGo();
    daemon.ok('rm', '-f', 'one');
    sleeper('two', '--network', 'six', '-p', '5353:53/udp');
    await serve('two', 'udp', 53, family === 'IPv6' ? '::' : '0.0.0.0');
    await until('the second publisher', async () => (await ask(address)) === answer('two'));
    // Moved with the way out, to another of the container's addresses
    daemon.ok('network', 'create', '--ipv6', 'other');
    daemon.ok('network', 'connect', '--gw-priority', '7', 'other', 'two');
    await until('by the other network', async () => (await ask(address)) === answer('two'));
    assert.equal(tracked(`^ipv[46] .* udp .*dport=5353 .*src=${inspect('two', `{{.NetworkSettings.Networks.six.${family === 'IPv6' ? 'GlobalIPv6Address' : 'IPAddress'}}}`)} `), 0);
  });

  test('what is remembered of containers that ended while the daemon was dead is forgotten at its start; what others have goes on', async () => {
    sleeper('gone', '-p', '5353:53/udp', '-p', '8080:80');
    sleeper('stays', '-p', '8081:80');
    await serve('gone', 'udp', 53);
    await serve('stays', 'tcp', 80);
    const address = inspect('gone', '{{.NetworkSettings.IPAddress}}'), alive = inspect('stays', '{{.NetworkSettings.IPAddress}}');
    await until('a flow', async () => (await ask()) === 'gone 10.9.0.2');
    assert.equal(await asker.ask('tcp', '10.9.0.1', 8081), 'stays 10.9.0.2');
    const to = (answerer: string): string => `(udp|tcp) .*src=${answerer.replaceAll('.', '[.]')} `;
    assert.ok(tracked(to(address)) > 0 && tracked(to(alive)) > 0);
    const pid = Number(inspect('gone', '{{.State.Pid}}'));
    await daemon.down('SIGKILL');
    await letGo();
    process.kill(pid, 'SIGKILL');
    assert.ok(tracked(to(address)) > 0, 'the kernel remembers');
    await daemon.up();
    await until('forgotten', () => tracked(to(address)) === 0);
    assert.ok(tracked(to(alive)) > 0, 'what runs keeps its own');
    assert.equal(inspect('gone', '{{.State.Status}} {{.State.ExitCode}}'), 'exited 137');
    // Whoever has the port now is asked, by the client that never stopped
    sleeper('next', '-p', '5353:53/udp');
    await serve('next', 'udp', 53);
    await until('the next publisher', async () => (await ask()) === 'next 10.9.0.2');
  });

  test('a removal does not wait for the kernel\'s clean-up of a network namespace', async () => {
    // What something keeps alive is taken away in the end, after a second or two: a machine that was too slow to look before that tries again
    let answeredBefore = false;
    let link = '';
    for (let tries = 0; tries < 3 && !answeredBefore; tries++) {
      daemon.ok('network', 'create', 'lan');
      sleeper('web', '--network', 'lan', '-p', '8080:80');
      await serve('web', 'tcp', 80); // holds the namespace, and so the pair of links
      assert.equal(await asker.ask('tcp', '10.9.0.1', 8080), 'web 10.9.0.2');
      link = host.ip('-o', 'link').match(/nv[0-9a-f]{11}/g)!.at(-1)!;
      const bridge = `br-${daemon.ok('network', 'inspect', '-f', '{{.Id}}', 'lan').slice(0, 12)}`;
      daemon.ok('rm', '-f', 'web');
      answeredBefore = host.ip('-o', 'link').includes(link);
      assert.equal(await here.ask('tcp', '127.0.0.1', 8080), 'ECONNREFUSED', 'nothing is published any more');
      daemon.ok('network', 'rm', 'lan');
      assert.doesNotMatch(host.ip('-o', 'link'), new RegExp(bridge));
    }
    assert.ok(answeredBefore, 'it answered only when the pair was gone');
    // Name, port and all are free at once
    daemon.ok('network', 'create', 'lan');
    sleeper('web', '--network', 'lan', '-p', '8080:80');
    await until('the pair is taken away though something holds the namespace', () => !host.ip('-o', 'link').includes(link));
  });
});
