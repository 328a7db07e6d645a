import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NameDirectory } from './name-directory.ts';
import type { DnsConfiguration, DnsEndpoint } from './port.ts';

const endpoint = (networkName: string, address: string, names: string[], subnets = ['10.1.0.0/16', 'fd00::/64']): DnsEndpoint =>
  ({ networkId: `id-${networkName}`, networkName, addresses: [address], names, subnets });
const container = (name: string, networks: DnsEndpoint[], more: Partial<DnsConfiguration> = {}): DnsConfiguration => ({ name, networks, upstreams: [], ...more });
const said = (directory: NameDirectory, who: string, name: string): string => {
  const found = directory.find(who, name);
  if (found.kind === 'pointer') return `-> ${Buffer.from(found.name).toString('latin1')}`;
  return found.kind === 'addresses' ? [[...found.v4].join('.'), found.v6.byteLength / 16 || ''].join(' ').trim() : found.kind;
};

function town(): NameDirectory {
  const directory = new NameDirectory();
  directory.set('w', container('web', [endpoint('front', '10.1.0.2', ['web', 'API', 'abc123']), endpoint('app_back', '10.2.0.2', ['web'], ['10.2.0.0/16'])]));
  directory.set('p', container('peer', [endpoint('front', '10.1.0.3', ['peer'])], { links: [{ alias: 'db', target: 'Web' }, { alias: 'lost', target: 'gone' }] }));
  directory.set('b', container('base', [endpoint('app_back', '10.2.0.9', ['base', 'api'], ['10.2.0.0/16'])]));
  return directory;
}

test('a container knows the names of its own networks, in their order, and its own links', () => {
  const directory = town();
  assert.equal(said(directory, 'p', 'api'), '10.1.0.2');
  assert.equal(said(directory, 'p', 'api.front'), '10.1.0.2');
  assert.equal(said(directory, 'p', 'db'), '10.1.0.2');
  assert.equal(said(directory, 'p', 'base'), 'absent', 'of a network that it is not on');
  assert.equal(said(directory, 'b', 'db'), 'absent', 'a link is the linking container\'s own');
  assert.equal(said(directory, 'w', 'api'), '10.1.0.2', 'the first of its networks');
  assert.equal(said(directory, 'w', 'api.app_back'), '10.2.0.9');
  assert.equal(said(directory, 'nobody', 'web'), 'absent');
});

test('reverse names: who it is, nobody of ours, or somebody else\'s', () => {
  const directory = town();
  assert.equal(said(directory, 'p', '2.0.1.10.in-addr.arpa'), '-> \x03web\x05front\0');
  assert.equal(said(directory, 'p', '77.0.1.10.in-addr.arpa'), 'absent');
  assert.equal(said(directory, 'p', '9.0.2.10.in-addr.arpa'), 'elsewhere', 'a network that it is not on is nothing to it');
  assert.equal(said(directory, 'p', '8.8.8.8.in-addr.arpa'), 'elsewhere');
  assert.equal(said(directory, 'p', '1.0.0.127.in-addr.arpa'), 'absent');
  assert.equal(said(directory, 'p', `1.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`), 'absent');
  for (const odd of ['1.10.in-addr.arpa', '999.0.1.10.in-addr.arpa', 'x.0.1.10.in-addr.arpa', 'in-addr.arpa', '0.ip6.arpa']) assert.equal(said(directory, 'p', odd), 'elsewhere', odd);
});

test('what only makes sense here is never asked for elsewhere', () => {
  const directory = town();
  for (const name of ['nobody', 'gone.app_back', '_http._tcp.web', 'lost']) assert.notEqual(said(directory, 'w', name), 'elsewhere', name);
  assert.equal(said(directory, 'p', 'lost'), 'absent', 'a link whose target is gone');
  assert.equal(said(directory, 'w', 'web.front.example'), 'elsewhere');
  assert.equal(said(directory, 'w', 'example.front'), 'elsewhere', 'a network may be called like a domain');
  directory.remove('p');
  assert.equal(said(directory, 'w', 'peer.front'), 'absent', 'it was ours');
  assert.equal(said(directory, 'w', 'peer'), 'absent');
  assert.equal(said(directory, 'w', ''), 'elsewhere', 'the root');
  directory.set('o', container('open', [endpoint('front', '10.1.0.9', ['open'])], { options: ['ndots:0'] }));
  assert.equal(said(directory, 'o', 'intranet'), 'elsewhere', 'the user said that such names are whole');
});

test('a container that is renamed or moved is found only where it is now', () => {
  const directory = town();
  const { generation } = directory;
  directory.set('w', container('shop', [endpoint('front', '10.1.0.8', ['shop'])]));
  assert.ok(directory.generation > generation);
  assert.equal(said(directory, 'p', 'web'), 'absent');
  assert.equal(said(directory, 'p', 'shop'), '10.1.0.8');
  assert.equal(said(directory, 'p', '2.0.1.10.in-addr.arpa'), 'absent');
  assert.equal(said(directory, 'b', 'web'), 'absent');
  directory.remove('w');
  directory.remove('w');
  assert.equal(said(directory, 'p', 'shop'), 'absent');
});
