import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { tryParseIp } from './ip.ts';
import { ipv4Bytes, parseIpv4 } from './ipv4.ts';
import { type PublishedPort, hostAddress, portElements, portRuns, shiftWindow } from './published-ports.ts';

const tcp = (hostPort: number, containerPort: number, hostIp = '0.0.0.0'): PublishedPort => ({ protocol: 'tcp', hostIp, hostPort, containerPort });
const ADDRESS = tryParseIp('172.17.0.2')!;
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

/** What the kernel does with the elements: nf_nat_l4proto_unique_tuple for the shifted ones. */
function route(ports: readonly PublishedPort[], protocol: number, destination: number, hostPort: number): number | undefined {
  const elements = portElements(ports, ADDRESS);
  const port = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;
  const key = new Uint8Array([protocol, 0, 0, 0, ...ipv4Bytes(destination), hostPort >> 8, hostPort & 255, 0, 0]);
  for (const { key: k, data } of elements.get('ports') ?? []) if (k[0] === protocol && port(k, 4) === hostPort) return port(data!, 4);
  for (const { key: k, data } of elements.get('ports_at') ?? []) if (hex(k) === hex(key)) return port(data!, 4);
  const inside = (low: Uint8Array, high: Uint8Array): boolean => [0, 4, 8].every((at) => {
    const field = (bytes: Uint8Array): string => hex(bytes.subarray(at, at + 4));
    return field(low) <= field(key) && field(key) <= field(high);
  });
  for (const { key: k, keyEnd } of elements.get('ranges') ?? []) if (inside(k, keyEnd!)) return hostPort;
  for (const { key: k, keyEnd, data } of elements.get('shifted') ?? []) {
    if (inside(k, keyEnd!)) return port(data!, 4) + (hostPort % (port(data!, 8) - port(data!, 4) + 1));
  }
  return undefined;
}

describe('published ports', () => {
  test('neighbours join, others do not', () => {
    const runs = portRuns([tcp(82, 82), tcp(80, 80), tcp(81, 81), tcp(90, 1090), tcp(91, 1091), tcp(92, 92), { ...tcp(83, 83), protocol: 'udp' }, tcp(84, 84, '127.0.0.1')]);
    assert.deepEqual(runs.map((run) => [run.protocol, run.hostIp, run.first, run.target, run.count]), [
      ['tcp', '0.0.0.0', 80, 80, 3], ['tcp', '0.0.0.0', 90, 1090, 2], ['tcp', '0.0.0.0', 92, 92, 1], ['tcp', '127.0.0.1', 84, 84, 1], ['udp', '0.0.0.0', 83, 83, 1],
    ]);
  });

  test('one port is one element of a hash, a range one interval', () => {
    const elements = portElements([tcp(8080, 80), tcp(443, 443, '127.0.0.1'), tcp(1000, 1000), tcp(1001, 1001), tcp(1002, 1002)], ADDRESS);
    assert.deepEqual([...elements].map(([map, list]) => [map, list.map((each) => [hex(each.key), hex(each.keyEnd), hex(each.data)])]), [
      ['ranges', [['060000000000000003e80000', '06000000ffffffff03ea0000', 'ac110002']]],
      ['ports', [['060000001f900000', '', 'ac11000200500000']]],
      ['ports_at', [['060000007f00000101bb0000', '', 'ac11000201bb0000']]],
    ]);
  });

  test('every shift that has a window is the shift that was asked for', () => {
    const run = fc.record({ first: fc.integer({ min: 1, max: 65535 }), target: fc.integer({ min: 1, max: 65535 }), count: fc.integer({ min: 2, max: 3000 }) })
      .filter(({ first, target, count }) => first + count <= 65536 && target + count <= 65536 && first !== target);
    fc.assert(fc.property(run, (each) => {
      const window = shiftWindow(each);
      if (window === undefined) return;
      assert.ok(window.low >= 0 && window.low <= window.high && window.high <= 65535);
      for (const offset of [0, 1, each.count >> 1, each.count - 1]) {
        const port = each.first + offset;
        assert.equal(window.low + (port % (window.high - window.low + 1)), each.target + offset);
      }
    }), { numRuns: 2000 });
    assert.notEqual(shiftWindow({ first: 9000, target: 8000, count: 1000 }), undefined);
    assert.notEqual(shiftWindow({ first: 8000, target: 9000, count: 1000 }), undefined);
  });

  test('every published port goes where it should, and no other goes anywhere', () => {
    const port = fc.record({
      protocol: fc.constantFrom('tcp' as const, 'udp' as const), hostIp: fc.constantFrom('0.0.0.0', '127.0.0.1', '10.0.0.1'),
      hostPort: fc.integer({ min: 1, max: 40 }), containerPort: fc.integer({ min: 1, max: 60 }),
    });
    // As reservations guarantee: one holder per protocol and number
    const ports = fc.uniqueArray(port, { maxLength: 30, selector: (each) => `${each.protocol} ${each.hostPort}` });
    fc.assert(fc.property(ports, (list) => {
      for (let hostPort = 1; hostPort <= 41; hostPort++) {
        for (const [name, number] of [['tcp', 6], ['udp', 17]] as const) {
          const published = list.find((each) => each.protocol === name && each.hostPort === hostPort);
          for (const destination of ['127.0.0.1', '10.0.0.1', '10.0.0.2']) {
            const expected = published !== undefined && ['0.0.0.0', destination].includes(published.hostIp) ? published.containerPort : undefined;
            assert.equal(route(list, number, parseIpv4(destination), hostPort), expected);
          }
        }
      }
    }), { numRuns: 60 });
  });

  test('host addresses', () => {
    assert.deepEqual(hostAddress('127.0.0.1'), tryParseIp('127.0.0.1'));
    assert.deepEqual(hostAddress('[::1]'), tryParseIp('::1'));
    assert.throws(() => hostAddress('web'), { kind: 'invalid' });
  });
});
