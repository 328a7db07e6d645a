import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { TestDaemon, run } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';

interface Answer { status: number; json: unknown }
type Row = [what: string, status: number, message: RegExp, hint: RegExp | undefined];
/** A body for networks/create. */
const subnet = (Subnet: string, more: object = {}): object => ({ Name: 'bad', IPAM: { Config: [{ Subnet, ...more }] } });
const option = (name: string, value: string): object => ({ Name: 'bad', Options: { [name]: value } });
const address = (IPv4Address: string): object => ({ IPAMConfig: { IPv4Address } });
const published = (HostPort: string, more: { HostIp?: string; port?: string } = {}): object => {
  const port = more.port ?? '80/tcp';
  return { ExposedPorts: { [port]: {} }, HostConfig: { NetworkMode: 'shop', PortBindings: { [port]: [{ HostIp: more.HostIp ?? '', HostPort }] } } };
};
const on = (network: string, endpoint: object): object => ({ HostConfig: { NetworkMode: network }, NetworkingConfig: { EndpointsConfig: { [network]: endpoint } } });

const EXTERNAL = 'failed to set up container networking: driver failed programming external connectivity on endpoint \\S+ \\([0-9a-f]{64}\\): ';
const CONFIG = 'invalid network config:\\n', ENDPOINT = 'invalid config for network \\w+: invalid endpoint settings:\\n';
/** The whole message. */
const says = (pattern: string): RegExp => new RegExp(`^${pattern}$`);

/** `shop` is 10.221.0.0/24 with `one`, which publishes 18495; `yard` is 10.222.0.0/24 with `two`, 10.222.0.7. */
describe('bad input: Docker\'s status and sentence, and nothing half made', () => {
  let daemon: TestDaemon;
  const program = createServer();
  let taken: number;
  let leave: () => void;
  before(async () => {
    leave = new TestNamespace('naru-badinput').enter();
    daemon = await TestDaemon.start();
    daemon.ok('network', 'create', '--subnet', '10.221.0.0/24', '-o', 'com.docker.network.bridge.name=nrbadshop', 'shop');
    daemon.ok('network', 'create', '--subnet', '10.222.0.0/24', 'yard');
    daemon.ok('run', '-d', '--name', 'one', '--network', 'shop', '-p', '18495:80', 'busybox', 'sleep', '600');
    daemon.ok('run', '-d', '--name', 'two', '--network', 'yard', '--ip', '10.222.0.7', 'busybox', 'sleep', '600');
    await new Promise<void>((resolve) => program.listen(0, '0.0.0.0', resolve));
    taken = (program.address() as AddressInfo).port;
  });
  after(async () => {
    program.close();
    try {
      daemon.ok('rm', '-f', 'one', 'two');
      daemon.ok('network', 'rm', 'shop', 'yard');
      assert.equal(await daemon.leaked(), '');
    } finally {
      await daemon?.destroy();
      leave();
    }
  });

  /** Not by curl: there are many. */
  const ask = (method: string, path: string, body?: unknown): Promise<Answer> => new Promise((resolve, reject) => {
    const asked = request({ socketPath: daemon.socket, method, path, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.on('data', (bytes) => (text += String(bytes))).on('end', () => resolve({ status: response.statusCode ?? 0, json: text === '' ? undefined : JSON.parse(text) }));
    });
    asked.on('error', reject).end(body === undefined ? '' : JSON.stringify(body));
  });
  /** Networks, containers, endpoints, links of ours. */
  const shape = async (): Promise<string> => {
    const [networks, containers, shop, yard] = await Promise.all(['/networks', '/containers/json?all=1', '/networks/shop', '/networks/yard'].map((path) => ask('GET', path)));
    return [
      ...[networks, containers].map((each) => (each!.json as { Id: string }[]).map(({ Id }) => Id).sort().join()), ...[shop, yard].map((each) => JSON.stringify((each!.json as { Containers: object }).Containers)),
      run('ip', ['-br', 'link']).out.split('\n').map((line) => line.split(/[ @]/)[0]!).filter((name) => !/^$/.test(name)).sort().join(),
    ].join('\n');
  };
  const rules = (): string => ['inet', 'bridge'].map((family) => run('nft', ['-s', 'list', 'table', family, daemon.scope.nftTable]).out).join('');

  /** All of a table; what is there must be the same after each. */
  const rows = async <T extends unknown[]>(table: readonly [...Row, ...rest: T][], attempt: (...rest: T) => Promise<Answer>): Promise<void> => {
    const before = await shape(), rulesBefore = rules();
    for (const [what, status, message, hint, ...rest] of table) {
      const got = await attempt(...rest);
      const body = got.json as { message?: string; hint?: string } | undefined;
      assert.deepEqual([got.status, message.test(body?.message ?? '')], [status, true], `${what}: ${got.status} ${body?.message}`);
      if (hint !== undefined) assert.match(body?.hint ?? '', hint, what);
      assert.equal(await shape(), before, `${what} left something behind`);
    }
    assert.equal(rules(), rulesBefore);
  };

  test('networks that cannot be made', async () => {
    const table: [...Row, object][] = [
      ['a subnet of another network', 403, says('invalid pool request: Pool overlaps with other one on this address space'), /another network has addresses of 10\.221\.0\.0\/16/, subnet('10.221.0.0/16')],
      ['overlaps in itself', 400, says(`${CONFIG}overlapping subnets 10\\.50\\.1\\.0/24`), undefined, { Name: 'bad', IPAM: { Config: [{ Subnet: '10.50.0.0/16' }, { Subnet: '10.50.1.0/24' }] } }],
      ['two subnets of one family', 403, says('bridge driver doesn\'t support multiple subnets'), undefined, { Name: 'bad', IPAM: { Config: [{ Subnet: '10.51.0.0/16' }, { Subnet: '10.52.0.0/16' }] } }],
      ['host bits', 400, says(`${CONFIG}invalid subnet 10\\.223\\.0\\.1/24: it should be 10\\.223\\.0\\.0/24`), undefined, subnet('10.223.0.1/24')],
      ['no subnet', 400, says(`${CONFIG}invalid subnet banana: invalid CIDR block notation`), undefined, subnet('banana')],
      ['a gateway elsewhere', 400, says(`${CONFIG}invalid gateway 10\\.9\\.0\\.1: parent subnet is 10\\.223\\.0\\.0/24`), undefined, subnet('10.223.0.0/24', { Gateway: '10.9.0.1' })],
      ['a gateway that is no address', 400, says(`${CONFIG}invalid gateway x: invalid address`), undefined, subnet('10.223.0.0/24', { Gateway: 'x' })],
      ['a range elsewhere', 400, says(`${CONFIG}invalid ip-range 10\\.9\\.0\\.0/25: parent subnet is 10\\.223\\.0\\.0/24`), undefined, subnet('10.223.0.0/24', { IPRange: '10.9.0.0/25' })],
      ['a range that is wider', 400, says(`${CONFIG}invalid ip-range 10\\.223\\.0\\.0/16: parent subnet is 10\\.223\\.0\\.0/24`), undefined, subnet('10.223.0.0/24', { IPRange: '10.223.0.0/16' })],
      ['an auxiliary address elsewhere', 400, says(`${CONFIG}invalid auxiliary address 10\\.9\\.0\\.1: parent subnet is 10\\.223\\.0\\.0/24`), undefined, subnet('10.223.0.0/24', { AuxiliaryAddresses: { x: '10.9.0.1' } })],
      ['an auxiliary address twice', 500, says('failed to allocate secondary ip address \\(b:10\\.223\\.0\\.9\\): Address already in use'), undefined, subnet('10.223.0.0/24', { AuxiliaryAddresses: { a: '10.223.0.9', b: '10.223.0.9' } })],
      ['from a configuration that nobody has', 404, says('configuration network "shop" does not exist'), undefined, { Name: 'bad', ConfigFrom: { Network: 'shop' } }],
      ['a configuration and options', 403, /^network driver options are not supported/, undefined, { Name: 'bad', ConfigFrom: { Network: 'x' }, Options: { a: 'b' } }],
      ['a configuration and a subnet', 403, /^user specified configurations are not supported/, undefined, { ...subnet('10.223.0.0/24'), ConfigFrom: { Network: 'x' } }],
      ['a configuration of a configuration', 403, /^a configuration network cannot depend/, undefined, { Name: 'bad', ConfigOnly: true, ConfigFrom: { Network: 'x' } }],
      ['a name that is taken', 409, says('network with name shop already exists'), undefined, { Name: 'shop' }],
      ['no name', 400, says('invalid network name: name is empty'), undefined, { Name: '' }],
      ...['a b', 'a/../b', 'a\0b', 'größe', '-a', '\x1b[31m', 'a\nb'].map((Name) => [JSON.stringify(Name), 400, /^invalid network name ".*": only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed$/s, undefined, { Name }] as [...Row, object]),
      ['a name of Docker\'s own', 403, says('operation is not permitted on predefined host network'), undefined, { Name: 'host' }],
      ['a driver that nobody has', 404, /plugin "odd" not found$/, undefined, { Name: 'bad', Driver: 'odd' }],
      ['a second host network', 403, says('only one instance of "host" network is allowed'), undefined, { Name: 'bad', Driver: 'host' }],
      ['an IPAM driver that nobody has', 404, /plugin "odd" not found$/, undefined, { Name: 'bad', IPAM: { Driver: 'odd' } }],
      ['an MTU in words', 400, /com\.docker\.network\.driver\.mtu/, undefined, option('com.docker.network.driver.mtu', 'many')],
      ['icc perhaps', 400, /com\.docker\.network\.bridge\.enable_icc/, undefined, option('com.docker.network.bridge.enable_icc', 'perhaps')],
      ['a bridge name that is too long', 400, /toolongtoolongtoolong/, undefined, option('com.docker.network.bridge.name', 'toolongtoolongtoolong')],
      ['a bridge name that is taken', 403, /nrbadshop/, undefined, option('com.docker.network.bridge.name', 'nrbadshop')],
    ];
    await rows(table, (body) => ask('POST', '/networks/create', body));
  });

  test('networks in use, unknown ones, endpoints that cannot be', async () => {
    const connect = (network: string, Container: string, EndpointConfig: object = {}): [string, string, object] => ['POST', `/networks/${network}/connect`, { Container, EndpointConfig }];
    const table: [...Row, string, string, object?][] = [
      ['removed while it is used', 403, /^error while removing network: network shop has active endpoints \(name:"one" id:"[0-9a-f]{12}"\)$/, undefined, 'DELETE', '/networks/shop'],
      ['Docker\'s own removed', 403, says('bridge is a pre-defined network and cannot be removed'), undefined, 'DELETE', '/networks/bridge'],
      ['unknown, removed', 404, says('network nowhere not found'), undefined, 'DELETE', '/networks/nowhere'],
      ['unknown, inspected', 404, says('network nowhere not found'), undefined, 'GET', '/networks/nowhere'],
      ['unknown, connected', 404, says('network nowhere not found'), undefined, ...connect('nowhere', 'one')],
      ['nobody connected', 404, says('No such container: nobody'), undefined, ...connect('shop', 'nobody')],
      ['connected twice', 403, says('endpoint with name one already exists in network shop'), undefined, ...connect('shop', 'one')],
      ['an address out of range', 400, says('no configured subnet or ip-range contain the IP address 10\\.9\\.9\\.9'), undefined, ...connect('yard', 'one', address('10.9.9.9'))],
      ['no address', 400, says(`${ENDPOINT}invalid IPv4 address: 10\\.222\\.0\\.999`), undefined, ...connect('yard', 'one', address('10.222.0.999'))],
      ['an address that is taken', 403, says('Address already in use'), /10\.222\.0\.7 belongs to another container/, ...connect('yard', 'one', address('10.222.0.7'))],
      ['the gateway\'s address', 403, says('Address already in use'), undefined, ...connect('yard', 'one', address('10.222.0.1'))],
      ['IPv6 where there is none', 400, /no configured subnet or ip-range contain the IP address fd00::7$/, undefined, ...connect('yard', 'one', { IPAMConfig: { IPv6Address: 'fd00::7' } })],
      ['no MAC', 400, says('invalid MAC address: xx'), undefined, ...connect('yard', 'one', { MacAddress: 'xx' })],
      ['a fixed address on the default bridge', 400, /user specified IP address is supported on user defined networks only$/, undefined, ...connect('bridge', 'one', address('172.17.0.9'))],
      ['connected to the host', 403, says('cannot connect container to host network - container must be created in host network mode'), undefined, ...connect('host', 'one')],
      ['disconnected from where it is not', 403, /^container [0-9a-f]{64} is not connected to network yard$/, undefined, 'POST', '/networks/yard/disconnect', { Container: 'one' }],
      ['nobody disconnected', 404, says('No such container: nobody'), undefined, 'POST', '/networks/yard/disconnect', { Container: 'nobody' }],
    ];
    await rows(table, ask);
  });

  test('containers whose addresses and ports cannot be', async () => {
    const table: [...Row, object][] = [
      ['an address out of range', 400, says('no configured subnet or ip-range contain the IP address 10\\.9\\.9\\.9'), undefined, on('shop', address('10.9.9.9'))],
      ['no address', 400, says(`${ENDPOINT}invalid IPv4 address: 10\\.221\\.0\\.999`), undefined, on('shop', address('10.221.0.999'))],
      ['an address that is taken', 403, says('Address already in use'), undefined, on('yard', address('10.222.0.7'))],
      ['no MAC', 400, says('invalid MAC address: 02:00'), undefined, on('shop', { MacAddress: '02:00' })],
      ['an alias on the default bridge', 400, /network-scoped aliases are only supported for user-defined networks$/, undefined, on('bridge', { Aliases: ['x'] })],
      ['a port that a container has', 500, says(`${EXTERNAL}Bind for 0\\.0\\.0\\.0:18495 failed: port is already allocated`), /^container one publishes it$/, published('18495')],
      ['a port that a program has', 500, says(`${EXTERNAL}failed to bind host port for 0\\.0\\.0\\.0:${taken}:10\\.221\\.0\\.\\d+:80/tcp: address already in use`), new RegExp(`\\(process ${process.pid}\\) uses it$`), published(String(taken))],
      ['an address that is not this host\'s', 500, says(`${EXTERNAL}failed to bind host port for 192\\.0\\.2\\.1:18496:10\\.221\\.0\\.\\d+:80/tcp: cannot assign requested address`), undefined, published('18496', { HostIp: '192.0.2.1' })],
      ['an address that is none', 400, says('invalid host IP address: 1\\.2\\.3'), undefined, published('18496', { HostIp: '1.2.3' })],
      ...['70000', '-1', 'many', '9000-8000', '80-', '1-70000', '80-90-100', '8e1', ' 80'].map((text) => [`host port ${text}`, 400, says(`invalid port specification: "${text === '1-70000' ? '70000' : text}"`), undefined, published(text)] as [...Row, object]),
      ['a container port out of range', 400, says('invalid port specification: "70000"'), undefined, published('18496', { port: '70000/tcp' })],
      ['the container port 0', 400, says('invalid port specification: "0"'), undefined, published('18496', { port: '0/tcp' })],
      ['a protocol that nobody has', 400, says('invalid port specification: "80/carrier"'), undefined, published('18496', { port: '80/carrier' })],
    ];
    await rows(table, async (body) => {
      const created = await ask('POST', '/containers/create', { Image: 'busybox', Cmd: ['true'], ...body });
      if (created.status !== 201) return created;
      const { Id } = created.json as { Id: string };
      const started = await ask('POST', `/containers/${Id}/start`);
      assert.equal((await ask('DELETE', `/containers/${Id}?force=1`)).status, 204);
      return started;
    });
  });

  test('what a configuration network gives and what it does not; ports that can be no other come before choices; what the host\'s network ignores is said', () => {
    daemon.ok('network', 'create', '--config-only', '--subnet', '10.225.0.0/24', '--label', 'l=1', 'plan');
    daemon.ok('network', 'create', '--config-from', 'plan', '--internal', 'made');
    assert.equal(daemon.ok('network', 'inspect', '-f', '{{.Driver}} {{.Internal}} {{(index .IPAM.Config 0).Subnet}} {{json .Labels}}', 'plan', 'made'), 'null false 10.225.0.0/24 {"l":"1"}\nbridge true 10.225.0.0/24 {"l":"1"}');
    daemon.ok('network', 'rm', 'made', 'plan');
    daemon.ok('run', '-d', '--name', 'choosy', '-p', '18497-18498:80', '-p', '18497:81', 'busybox', 'sleep', '600');
    assert.match(daemon.ok('port', 'choosy', '80'), /^0\.0\.0\.0:18498$/m);
    daemon.ok('rm', '-f', 'choosy');
    const ran = daemon.docker('run', '--rm', '--network', 'host', '-p', '18497:80', 'busybox', 'true');
    assert.deepEqual([ran.code, /Published ports are discarded when using host network mode/.test(ran.err)], [0, true]);
    assert.match(daemon.docker('run', '--rm', '--network', 'host', '--link', 'one', 'busybox', 'true').err, /host type networking can't be used with links/);
  });

  test('a network that is not there stops the start, not the creation, as it does with Docker; once it is made the container starts, and is checked then', async () => {
    const missing = /^docker: Error response from daemon: failed to set up container networking: network later not found\n/;
    const ran = daemon.docker('run', '--name', 'early', '--network', 'later', '--ip', '10.223.0.9', 'busybox', 'true');
    assert.equal(ran.code, 125);
    assert.match(ran.err, missing);
    assert.equal(daemon.ok('inspect', '-f', '{{.State.Status}} {{.HostConfig.NetworkMode}}', 'early'), 'created later');
    assert.equal((await ask('POST', '/containers/early/start')).status, 404);
    daemon.ok('network', 'create', '--subnet', '10.223.0.0/24', 'later');
    daemon.ok('start', 'early');
    assert.equal(daemon.ok('wait', 'early'), '0');
    // What cannot be said of a network that is not there yet is said when it is
    assert.equal((await ask('POST', '/containers/create?name=wrong', { Image: 'busybox', ...on('sooner', address('10.224.0.999')) })).status, 201);
    daemon.ok('network', 'create', '--subnet', '10.224.0.0/24', 'sooner');
    const refused = await ask('POST', '/containers/wrong/start');
    assert.deepEqual([refused.status, (refused.json as { message: string }).message], [400, 'invalid config for network sooner: invalid endpoint settings:\ninvalid IPv4 address: 10.224.0.999']);
    // --rm: nothing of it stays
    assert.match(daemon.docker('run', '--rm', '--name', 'gone', '--network', 'nowhere', 'busybox', 'true').err, /network nowhere not found/);
    daemon.ok('rm', 'early', 'wrong');
    daemon.ok('network', 'rm', 'later', 'sooner');
    for (const end = Date.now() + 10_000; daemon.docker('inspect', 'gone').code === 0 && Date.now() < end;);
    assert.notEqual(daemon.docker('inspect', 'gone').code, 0);
  });
});
