import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { createNetworkService } from '#net/create-network-service.ts';
import type { EndpointRecord, NetworkService, PortRequest } from '#net/port.ts';
import { removeNetwork } from '#net/remove-network.ts';
import { TestNamespace } from '#test/system/net-namespaces.ts';

const NAMES = { bridge: 'nrport0', tableName: 'nrport0' };
const port = (hostPort: number, hostIp = '', protocol: 'tcp' | 'udp' = 'tcp'): PortRequest => ({ containerPort: 80, protocol, hostIp, hostPort, hostPortEnd: hostPort });

/** Binds (and listens) however it can, by a user without rights; says each that worked. Then it waits for the end of its input. */
const THIEF = `
import os,socket,sys
os.setgid(65534); os.setuid(65534)
kept=[]
for family,kind,host,port in eval(sys.argv[1]):
    for option in (None,socket.SO_REUSEADDR,socket.SO_REUSEPORT,"both"):
        s=socket.socket(socket.AF_INET6 if family==6 else socket.AF_INET,socket.SOCK_DGRAM if kind=="udp" else socket.SOCK_STREAM)
        if family==6: s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,0 if host=="dual" else 1)
        for each in ([socket.SO_REUSEADDR,socket.SO_REUSEPORT] if option=="both" else [option] if option else []): s.setsockopt(socket.SOL_SOCKET,each,1)
        try:
            s.bind(("::" if host=="dual" else host,port))
            if kind=="tcp": s.listen()
            kept.append(s); print("took",kind,host,port,flush=True); break
        except OSError: s.close()
print("done",flush=True)
sys.stdin.read()
`;

describe('attack 50: one host port, two who want it', () => {
  let host: TestNamespace;
  let service: NetworkService;
  before(async () => {
    host = new TestNamespace('naru-port-host');
    service = host.within(() => createNetworkService({ ...NAMES, ipv6: 'fd0d::/64' }));
    await host.within(() => service.reconcile([], []));
  });
  after(() => {
    service?.close();
    host.within(() => removeNetwork(NAMES));
    assert.equal(host.exec('nft', 'list', 'ruleset'), '');
    host?.remove();
  });

  const reserve = (id: string, ports: readonly PortRequest[]): EndpointRecord[] =>
    host.within(() => service.reserve({ containerId: id.repeat(64), containerName: `container-${id}`, networks: [{ networkId: service.bridge.id }], ports }));
  const release = (records: EndpointRecord[]): Promise<void> => host.within(() => service.release(records));
  const rules = (): string => host.exec('nft', 'list', 'ruleset');

  /** What a program of the host without rights could take, and its end. */
  async function thief(...wanted: [family: 4 | 6, kind: 'tcp' | 'udp', host: string, port: number][]): Promise<{ took: string[]; end: () => Promise<void> }> {
    const child = spawn('ip', ['netns', 'exec', host.name, 'python3', '-c', THIEF, JSON.stringify(wanted)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const took: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'done') break;
      took.push(line);
    }
    return { took, end: async () => (child.stdin.end(), void (await gone)) };
  }

  test('no program of the host takes a published port over, on no address and with no option', async () => {
    const records = reserve('1', [port(8080), port(5353, '', 'udp'), port(8081, '127.0.0.1')]);
    await host.within(() => service.publish(records));
    const { took, end } = await thief(
      [4, 'tcp', '0.0.0.0', 8080], [4, 'tcp', '127.0.0.1', 8080], [4, 'tcp', '172.17.0.1', 8080], [6, 'tcp', '::', 8080], [6, 'tcp', '::1', 8080], [6, 'tcp', 'dual', 8080],
      [4, 'udp', '0.0.0.0', 5353], [4, 'udp', '127.0.0.1', 5353], [6, 'udp', '::1', 5353], [4, 'tcp', '127.0.0.1', 8081], [4, 'tcp', '0.0.0.0', 8081],
      [4, 'tcp', '0.0.0.0', 8082],
    );
    await end();
    assert.deepEqual(took, ['took tcp 0.0.0.0 8082'], 'the one that nobody has');
    await release(records);
  });

  test('no container takes over what a program of the host has, on any address of it', async () => {
    const before = rules();
    const { took, end } = await thief([4, 'tcp', '127.0.0.1', 8090], [4, 'udp', '0.0.0.0', 8091], [6, 'tcp', '::1', 8092], [4, 'tcp', '172.17.0.1', 8093]);
    assert.equal(took.length, 4);
    for (const wish of [port(8090), port(8090, '127.0.0.1'), port(8091, '', 'udp'), port(8091, '127.0.0.1', 'udp'), port(8092), port(8092, '[::1]'), port(8093)]) {
      assert.throws(() => reserve('2', [port(8099), wish]), /failed to bind host port for .*: address already in use/, JSON.stringify(wish));
    }
    assert.equal(rules(), before);
    await end();
    await release(reserve('2', [port(8090), port(8091, '', 'udp'), port(8092), port(8093), port(8099)]));
  });

  test('no container takes over another\'s, by a range, an address or the other family; nothing is left of the attempt', async () => {
    const records = reserve('1', [port(8080), port(8081, '127.0.0.1'), port(8082, '[::1]')]);
    await host.within(() => service.publish(records));
    const before = rules();
    for (const list of [
      [port(8080)], [port(8080, '127.0.0.1')], [port(8080, '[::]')], [port(8080, '[::1]')], [port(8081)], [port(8081, '127.0.0.1')], [port(8082)], [port(8079), port(8080)],
      Array.from({ length: 20 }, (_, i) => port(8070 + i)),
    ]) assert.throws(() => reserve('2', list), /Bind for \S+:808\d failed: port is already allocated/, JSON.stringify(list));
    assert.equal(rules(), before);
    // Other addresses and protocols are nobody's
    await release(reserve('2', [port(8080, '', 'udp'), port(8081, '172.17.0.1'), port(8082, '127.0.0.1'), port(8079), port(8070)]));
    await release(records);
    await release(reserve('2', [port(8080), port(8081), port(8082)]));
  });
});
