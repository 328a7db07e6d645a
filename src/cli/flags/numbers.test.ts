import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBytes, parseCpus, parseDuration, parseInteger } from './numbers.ts';

test('bytes', () => {
  for (const [text, bytes] of [['0', 0], ['10', 10], ['1k', 1024], ['1KB', 1024], ['1.5g', 1610612736], ['2GiB', 2147483648], ['64 m', 67108864], ['7b', 7]] as const) assert.equal(parseBytes(text), bytes, text);
  for (const bad of ['', 'x', '-1', '1xb', '1kbb', '1bb', 'm']) assert.throws(() => parseBytes(bad), { kind: 'invalid' }, bad);
});

test('CPUs are exact', () => {
  for (const [text, nano] of [['1', 1e9], ['0.5', 5e8], ['1/4', 25e7], ['.1', 1e8], ['2e-3', 2e6], ['0.000000001', 1]] as const) assert.equal(parseCpus(text), nano, text);
  assert.throws(() => parseCpus('0.0000000001'), { message: 'value is too precise' });
  assert.throws(() => parseCpus('1/3'), { message: 'value is too precise' });
  assert.throws(() => parseCpus('x'), { message: 'failed to parse x as a rational number' });
});

test('durations', () => {
  for (const [text, nano] of [['1s', 1e9], ['1h30m', 54e11], ['1.5s', 15e8], ['100ms', 1e8], ['-2m', -12e10], ['0', 0], ['3us', 3000]] as const) assert.equal(parseDuration(text), nano, text);
  assert.throws(() => parseDuration('5'), { message: 'time: missing unit in duration "5"' });
  assert.throws(() => parseDuration('5x'), { message: 'time: unknown unit "x" in duration "5x"' });
  assert.throws(() => parseDuration(''), { message: 'time: invalid duration ""' });
});

test('integers', () => {
  assert.deepEqual([parseInteger('0x1f', 64), parseInteger('-0b11', 64), parseInteger('0o17', 64), parseInteger('017', 64), parseInteger('1_000', 64)], [31, -3, 15, 15, 1000]);
  assert.throws(() => parseInteger('70000', 16, true), { message: 'strconv.ParseUint: parsing "70000": value out of range' });
  assert.throws(() => parseInteger('-1', 16, true), { message: 'strconv.ParseUint: parsing "-1": invalid syntax' });
});
