import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { OwnHost } from '../support/own-host.ts';

/** aa: a container that publishes; bb: its neighbour. */
describe('the default bridge, by the Docker CLI', () => {
  let own: OwnHost;
  before(async () => {
    own = await OwnHost.start('bridge');
    own.sleeper('aa', '-p', '8080:80', '-p', '127.0.0.1:8081:81', '-p', '5353:53/udp', '-p', '7000-7002:7000-7002', '-p', '9000-9001:8000-8001', '-p', '3000:4000', '-p', '3001:4001');
    own.sleeper('bb');
    for (const number of [80, 81, 7001, 8000, 8001, 4001]) await own.in('aa').serve('tcp', number, `a${number}`);
    await own.in('aa').serve('udp', 53, 'a53');
    await own.in('bb').serve('tcp', 80, 'b80');
    await own.in('outside').serve('tcp', 80, 'o80');
  });
  after(async () => {
    try {
      await own.clear();
    } finally {
      await own.end();
    }
  });

  const ask = async (from: string, protocol: 'tcp' | 'udp', address: string, number: number, answer: string): Promise<void> => assert.equal(await own.in(from).ask(protocol, address, number), answer);

  test('avoids nothing on an empty host: 172.17.0.0/16', () => {
    assert.equal(own.daemon.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}} {{(index .IPAM.Config 0).Gateway}}', 'bridge'), '172.17.0.0/16 172.17.0.1');
    assert.equal(own.inspect('aa', '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}}'), '172.17.0.2 02:42:ac:11:00:02');
    assert.equal(own.address('bb'), '172.17.0.3');
    // The bridge's ports have none, and no routes of IPv6 with it.
    const ports = [...own.host.ip('-o', 'link', 'show', 'master', own.daemon.scope.bridge).matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name!);
    assert.equal(ports.length, 2);
    for (const name of ports) assert.equal(own.host.ip('-6', 'address', 'show', 'dev', name), '');
  });

  test('containers reach each other and, masqueraded, the world', async () => {
    await ask('aa', 'tcp', '172.17.0.3', 80, 'b80 172.17.0.2');
    await ask('aa', 'tcp', '10.9.0.2', 80, 'o80 10.9.0.1');
  });

  test('a published port is reached from another host, which is seen as itself', async () => {
    await ask('outside', 'tcp', '10.9.0.1', 8080, 'a80 10.9.0.2');
    await ask('outside', 'udp', '10.9.0.1', 5353, 'a53 10.9.0.2');
  });

  test('from the host: by its address and by localhost', async () => {
    await ask('host', 'tcp', '10.9.0.1', 8080, 'a80 10.9.0.1');
    await ask('host', 'tcp', '127.0.0.1', 8080, 'a80 172.17.0.1');
    await ask('host', 'udp', '127.0.0.1', 5353, 'a53 172.17.0.1');
    await ask('host', 'tcp', '127.0.0.1', 8081, 'a81 172.17.0.1');
    await ask('host', 'tcp', '172.17.0.1', 8080, 'a80 172.17.0.1');
  });

  test('ranges, with the same numbers and with others', async () => {
    await ask('outside', 'tcp', '10.9.0.1', 7001, 'a7001 10.9.0.2');
    await ask('outside', 'tcp', '10.9.0.1', 9000, 'a8000 10.9.0.2');
    await ask('outside', 'tcp', '10.9.0.1', 9001, 'a8001 10.9.0.2');
    await ask('host', 'tcp', '127.0.0.1', 3001, 'a4001 172.17.0.1');
  });

  // The module br_netfilter sends bridged frames through the rules too, which takes another way back to the sender
  for (const netfilter of existsSync('/proc/sys/net/bridge') ? ['0', '1'] : ['absent']) {
    test(`hairpin, from itself and from a neighbour (bridge-nf-call-iptables=${netfilter})`, async () => {
      if (netfilter !== 'absent') own.host.exec('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-iptables=${netfilter}`);
      await ask('aa', 'tcp', '10.9.0.1', 8080, 'a80 172.17.0.1');
      await ask('bb', 'tcp', '10.9.0.1', 8080, 'a80 172.17.0.1');
      await ask('bb', 'udp', '172.17.0.1', 5353, 'a53 172.17.0.1');
      await ask('aa', 'tcp', '172.17.0.3', 80, 'b80 172.17.0.2');
    });
  }
});
