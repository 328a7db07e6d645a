import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runFlags } from './container-flags.ts';
import { flag } from './flag.ts';
import { parseFlags } from './parse-flags.ts';

const FLAGS = [flag('all,a', 'bool', ''), flag('last,n', 'int', '', { default: '-1' }), flag('env,e', 'env', ''), flag('name', 'string', ''), flag('on', 'bool', '', { default: 'true' }), flag('time', 'int', '', { deprecated: 'use --last instead', aliasOf: 'last' }), flag('trace', 'trace', '')];
const parse = (words: string[], interspersed = true, warn?: (message: string) => void): ReturnType<typeof parseFlags> => parseFlags(words, FLAGS, { interspersed, env: { HERE: 'yes' }, ...(warn === undefined ? {} : { warn }) });
const fails = (words: string[], message: string): void => assert.throws(() => parse(words), { kind: 'invalid', message });

test('the forms of flags', () => {
  const parsed = parse(['-an3', 'x', '--name=a=b', '-e', 'A=1', '-eB', '-e=C=2', '--on=false', '--', '-z']);
  assert.deepEqual([parsed.bool('all'), parsed.number('last'), parsed.string('name'), parsed.list('env'), parsed.bool('on'), parsed.args], [true, 3, 'a=b', ['A=1', 'B', 'C=2'], false, ['x', '-z']]);
  assert.deepEqual(parse(['-n', '-5']).number('last'), -5);
  assert.deepEqual(parse([]).number('last'), -1);
  assert.equal(parse(['-e', 'HERE']).list('env')[0], 'HERE=yes');
  assert.deepEqual(parse(['-', '-a']).args, ['-']);
});

test('flags end at the first word where they come first', () => {
  const parsed = parse(['-a', 'image', '-n', '5', '--help'], false);
  assert.deepEqual([parsed.args, parsed.help, parsed.changed('last')], [['image', '-n', '5', '--help'], false, false]);
});

test('a flag with an optional value takes it by = only', () => {
  assert.deepEqual([parse(['--trace', 'image']).string('trace'), parse(['--trace', 'image']).args, parse(['--trace=f.json']).string('trace')], ['-', ['image'], 'f.json']);
});

test('help and deprecation', () => {
  const warnings: string[] = [];
  assert.equal(parse(['--help']).help, true);
  assert.equal(parse(['-h'], true, (message) => warnings.push(message)).help, true);
  assert.equal(parse(['--time', '4'], true, (message) => warnings.push(message)).number('last'), 4);
  assert.deepEqual(warnings, ['Flag shorthand -h has been deprecated, use --help', 'Flag --time has been deprecated, use --last instead']);
});

test('mistakes in Docker\'s words', () => {
  fails(['--nope'], 'unknown flag: --nope');
  fails(['-az'], "unknown shorthand flag: 'z' in -z");
  fails(['--name'], 'flag needs an argument: --name');
  fails(['-an'], "flag needs an argument: 'n' in -n");
  fails(['---x'], 'bad flag syntax: ---x');
  fails(['--=x'], 'bad flag syntax: --=x');
  fails(['-n', 'x'], 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax');
  fails(['-n', '99999999999999999999'], 'invalid argument "99999999999999999999" for "-n, --last" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range');
  fails(['--all=x'], 'invalid argument "x" for "-a, --all" flag: strconv.ParseBool: parsing "x": invalid syntax');
});

test('no two flags of run share a name or a letter', () => {
  const names = runFlags().map((f) => f.name);
  const letters = runFlags().flatMap((f) => (f.short === undefined ? [] : [f.short]));
  assert.equal(new Set(names).size, names.length);
  assert.equal(new Set(letters).size, letters.length);
});
