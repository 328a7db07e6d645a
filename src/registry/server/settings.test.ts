import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import fc from 'fast-check';
import { namePattern } from './name-pattern.ts';
import { parseSize, parseTime } from './parse-units.ts';
import { parseConfig } from './read-config.ts';
import { DEFAULT_OPTIONS } from './options.ts';
import { html } from './page/escape-html.ts';

test('patterns', () => {
  const cases: [string, string[], string[]][] = [
    ['**', ['a', 'a/b'], []], ['*', ['a'], ['a/b']], ['team/*', ['team/a'], ['team', 'team/a/b', 'xteam/a']], ['team/**', ['team/a', 'team/a/b'], ['team']],
    ['a.b', ['a.b'], ['axb']], ['v*-rc', ['v1-rc', 'v-rc'], ['v1-rc2']], ['(x', ['(x'], []],
  ];
  for (const [pattern, yes, no] of cases) {
    for (const name of yes) assert.ok(namePattern(pattern)(name), `${pattern} ${name}`);
    for (const name of no) assert.ok(!namePattern(pattern)(name), `${pattern} ${name}`);
  }
});
test('sizes and times', () => {
  assert.deepEqual(['10', '1k', '2KiB', '1.5 GiB', 7].map(parseSize), [10, 1000, 2048, 1.5 * 2 ** 30, 7]);
  assert.deepEqual(['30s', '12h', '7d', '250ms'].map(parseTime), [30e3, 43_200e3, 604_800e3, 250]);
  for (const bad of ['', 'x', '-1', '1y', '1e9999', null, {}, '9'.repeat(30)]) { assert.throws(() => parseSize(bad)); assert.throws(() => parseTime(bad)); }
});
test('a configuration over the defaults; what is unknown or wrong is named', () => {
  assert.deepEqual(parseConfig({}), DEFAULT_OPTIONS);
  const options = parseConfig({
    port: 1, quotas: [{ repositories: 'a/*', size: '1GiB' }], retention: { rules: [{ tags: 'x*', keepLast: 3, maxAge: '30d' }], untagged: '1d' },
    access: [{ users: 'ann', repositories: 'a/**', actions: ['pull', 'push'] }], upstream: { url: 'https://up.example' }, webhooks: [{ url: 'https://hook.example/x', headers: { a: 'b' } }],
  });
  assert.deepEqual(options.quotas, [{ repositories: 'a/*', bytes: 2 ** 30 }]);
  assert.deepEqual(options.retention.rules, [{ repositories: '**', tags: 'x*', keepLast: 3, maxAge: 30 * 86_400_000 }]);
  assert.deepEqual(options.access[0]?.users, ['ann']);
  for (const [bad, message] of [
    [{ prot: 1 }, /prot is not a setting/], [{ tls: { certificate: 'x' } }, /tls.key is missing/], [{ garbage: { grace: 'soon' } }, /garbage.grace: .*no length of time/], [{ access: [{ actions: ['own'] }] }, /no action/],
    [[], /must be a mapping/], [{ port: 'x' }, /port: a whole number/], [{ webhooks: [{ url: 'file:///x' }] }, /no http address/], [{ quotas: {} }, /must be a list/], [{ __proto__x: 1 }, /not a setting/],
  ] as const) assert.throws(() => parseConfig(bad), message);
});
test('templates escape whatever is put into them', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.doesNotMatch(html`<a href="${text}">${text}</a>`.safe.slice(9, -4).replace('">', ''), /[<>"']/)));
});

test('the configuration that the README shows is one', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../README.md'), 'utf8');
  const block = /^```yaml\n(host: [\s\S]*?)^```$/m.exec(text)?.[1] as string;
  const options = parseConfig(parse(block));
  assert.deepEqual(options.access, [{ users: ['ann'], repositories: 'team/**', actions: ['pull', 'push', 'delete'] }]);
  assert.equal(options.webhooks[0]?.url, 'https://ci.example/hook');
  assert.equal(options.upstream?.url, 'https://registry.example');
});
