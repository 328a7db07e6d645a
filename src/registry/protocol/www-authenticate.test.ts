import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatChallenge, formatScope, parseChallenges, parseScopes } from './www-authenticate.ts';
import { formatNextLink, parseNextLink, parsePageRequest } from './pagination.ts';

const plain = (header: string): unknown => JSON.parse(JSON.stringify(parseChallenges(header)));

test('challenges', () => {
  assert.deepEqual(plain('Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"'), [{ scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'repository:a/b:pull,push' } }]);
  assert.deepEqual(plain('Basic realm=x, Bearer realm = "a\\"b" , error="invalid"'), [{ scheme: 'basic', parameters: { realm: 'x' } }, { scheme: 'bearer', parameters: { realm: 'a"b', error: 'invalid' } }]);
  assert.deepEqual(plain('Negotiate'), [{ scheme: 'negotiate', parameters: {} }]);
  for (const bad of ['', ',,,', '=x', 'Bearer realm="open', '"', 'x'.repeat(20_000)]) assert.ok(Array.isArray(parseChallenges(bad)));
  parseChallenges('Basic __proto__="x"');
  assert.equal(({} as Record<string, unknown>)['x'], undefined);
});
test('what is formatted is parsed again', () => {
  fc.assert(fc.property(fc.string().map((t) => t.replace(/[\r\n]/g, '')), (realm) => assert.deepEqual(plain(formatChallenge('Bearer', { realm })), [{ scheme: 'bearer', parameters: { realm } }])));
  const scope = { type: 'repository', name: 'host:5000/a/b', actions: ['pull', 'push'] };
  assert.deepEqual(parseScopes(`${formatScope(scope)} nonsense`), [scope]);
});
test('links and pages', () => {
  assert.equal(parseNextLink(formatNextLink('/v2/a/tags/list', { last: 'a b', n: '2' })), '/v2/a/tags/list?last=a+b&n=2');
  assert.equal(parseNextLink('<a>; rel="prev", <b?x=1,2>; rel=next'), 'b?x=1,2');
  for (const none of [null, '', '<a>', '<a>; rel="nextish"', 'x']) assert.equal(parseNextLink(none), undefined);
  assert.deepEqual(parsePageRequest(new URLSearchParams('n=5&last=x'), 3), { limit: 3, last: 'x' });
  assert.throws(() => parsePageRequest(new URLSearchParams('n=x'), 3));
});
