import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ellipsis } from './display-width.ts';
import { binarySize, humanSize } from './human-size.ts';
import { humanDuration } from './human-time.ts';
import { reindentJson } from './json-indent.ts';
import { naturalOrder } from './natural-order.ts';
import { alignTabs } from './tab-writer.ts';

test('sizes', () => {
  assert.deepEqual([0, 999, 1000, 4261550, 1.5e9, 187654321].map((n) => humanSize(n, 3)), ['0B', '999B', '1kB', '4.26MB', '1.5GB', '188MB']);
  assert.deepEqual([0, 1023, 1024, 25282420736].map(binarySize), ['0B', '1023B', '1KiB', '23.55GiB']);
});

test('times', () => {
  const day = 86400;
  for (const [seconds, text] of [[0.4, 'Less than a second'], [1, '1 second'], [59, '59 seconds'], [60, 'About a minute'], [119, 'About a minute'], [120, '2 minutes'], [3599, '59 minutes'], [3600, 'About an hour'], [7200, '2 hours'], [47 * 3600, '47 hours'], [2 * day, '2 days'], [14 * day, '2 weeks'], [60 * day, '2 months'], [730 * day, '2 years']] as const) assert.equal(humanDuration(seconds), text);
});

test('columns', () => {
  assert.equal(alignTabs('A\tB\tC\nlonger cell\tx\ty\n', { minimum: 10, padding: 3 }), 'A             B         C\nlonger cell   x         y\n');
  assert.equal(alignTabs('日本\tx\nabcdefgh\ty\n', { minimum: 3, padding: 1 }), '日本     x\nabcdefgh y\n');
  assert.equal(alignTabs('a\tb\n\nlong long\tc\n', { minimum: 3, padding: 1 }), 'a  b\n\nlong long c\n'); // a line without cells ends a column
});

test('the rest', () => {
  assert.deepEqual([ellipsis('short', 10), ellipsis('a long sentence', 8), ellipsis('日本語日本語', 5)], ['short', 'a long …', '日本…']);
  assert.equal(reindentJson('{"a":[1,2.50,{}],"b":"x:,{}\\"","c":[]}', '  '), '{\n  "a": [\n    1,\n    2.50,\n    {}\n  ],\n  "b": "x:,{}\\"",\n  "c": []\n}');
  assert.equal(reindentJson('{ "a" : [ 1 , 2 ] }', ''), '{"a":[1,2]}');
  assert.deepEqual(['a10', 'a2', 'b1', 'a1'].sort(naturalOrder), ['a1', 'a2', 'a10', 'b1']);
});
