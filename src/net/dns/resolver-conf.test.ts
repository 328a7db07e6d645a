import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolverConf } from './resolver-conf.ts';

const HOST = 'nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch corp.example\noptions edns0\n';

test('the container asks 127.0.0.11 only; search and options are the host\'s', () => {
  const { text } = resolverConf(HOST, {}, { ipv6: false });
  assert.deepEqual(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')), ['nameserver 127.0.0.11', 'search corp.example', 'options edns0 ndots:0']);
});

test('servers that only the host can reach are asked from the host\'s namespace', () => {
  const via = (ipv6: boolean): string[] => resolverConf(`${HOST}nameserver fe80::1%eth0\n`, {}, { ipv6 }).upstreams.map((each) => `${each.address} ${each.via}`);
  assert.deepEqual(via(false), ['127.0.0.53 host', '10.0.0.1 container', 'fd00::1 host', 'fe80::1%eth0 host']);
  assert.equal(via(true)[2], 'fd00::1 container');
});

test('servers that the user named are asked from the container, loopback included', () => {
  const { upstreams, options } = resolverConf(HOST, { dns: ['127.0.0.1', '1.1.1.1'], options: ['ndots:2'] }, { ipv6: false });
  assert.deepEqual(upstreams, [{ address: '127.0.0.1', via: 'container' }, { address: '1.1.1.1', via: 'container' }]);
  assert.deepEqual(options, ['ndots:2']);
});

test('an explicit ndots stays alone, a search of "." is none, and a host without servers means the public ones', () => {
  const { text, upstreams, options } = resolverConf('', { search: ['.'], options: ['ndots:2'] }, { ipv6: false });
  assert.match(text, /^options ndots:2$/m);
  assert.doesNotMatch(text, /^search/m);
  assert.deepEqual(upstreams.map((each) => each.address), ['8.8.8.8', '8.8.4.4']);
  assert.deepEqual(resolverConf('', {}, { ipv6: false }).options, [], 'the default is not the user\'s word');
  assert.deepEqual(options, ['ndots:2']);
});
