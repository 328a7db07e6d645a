import { NaruError } from '#spec/errors.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/** An integer as Go's strconv reads one with base 0 (`10`, `0x1f`, `-1`), within `bits`. The error is Go's. */
export function parseInteger(text: string, bits: number, unsigned = false): number {
  const routine = unsigned ? 'ParseUint' : 'ParseInt';
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9_]*)$/.exec(text);
  if (match === null || (unsigned && match[1] !== '')) throw invalid(`strconv.${routine}: parsing ${JSON.stringify(text)}: invalid syntax`);
  let digits = (match[2] as string).replaceAll('_', '');
  if (/^0[0-7]+$/.test(digits)) digits = `0o${digits.slice(1)}`;
  const value = BigInt(digits) * (match[1] === '-' ? -1n : 1n);
  const limit = 1n << BigInt(unsigned ? bits : bits - 1);
  if (value >= limit || value < (unsigned ? 0n : -limit)) throw invalid(`strconv.${routine}: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(value);
}

/** Go's ParseBool. */
export function parseBoolean(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw invalid(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

const SIZES: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4, p: 1024 ** 5 };

/** `64m`, `1.5GiB`, `100 kb`: bytes, units of 1024. */
export function parseBytes(text: string): number {
  const match = /^(.*[0-9. ])([^0-9. ]*)$/s.exec(text);
  if (match === null) throw invalid(`invalid size: '${text}'`);
  const digits = (match[1] as string).replace(/ $/, '');
  const suffix = (match[2] as string).toLowerCase();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(digits)) throw invalid(`strconv.ParseFloat: parsing ${JSON.stringify(digits)}: invalid syntax`);
  const number = Number(digits);
  if (number < 0) throw invalid(`invalid size: '${text}'`);
  if (suffix === '' || suffix === 'b') return Math.trunc(number);
  const unit = /^([kmgtp])(b|ib)?$/.exec(suffix);
  if (unit === null) throw invalid(`invalid suffix: '${suffix}'`);
  return Math.trunc(number * (SIZES[unit[1] as string] as number));
}

/** `0.5`, `1/4`, `2e-1` CPUs as an exact number of 1e-9ths. */
export function parseCpus(text: string): number {
  const bad = (): NaruError => invalid(`failed to parse ${text} as a rational number`);
  const fraction = /^([+-]?\d+)\/(\d+)$/.exec(text);
  let numerator: bigint;
  let denominator: bigint;
  if (fraction !== null) {
    numerator = BigInt(fraction[1] as string);
    denominator = BigInt(fraction[2] as string);
    if (denominator === 0n) throw bad();
  } else {
    const decimal = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
    if (decimal === null || (decimal[2] === '' && decimal[3] === '')) throw bad();
    const exponent = Number(decimal[4] ?? 0) - (decimal[3] as string).length;
    numerator = BigInt(`${decimal[2]}${decimal[3]}`) * (decimal[1] === '-' ? -1n : 1n);
    denominator = 1n;
    if (exponent >= 0) numerator *= 10n ** BigInt(exponent);
    else denominator = 10n ** BigInt(-exponent);
  }
  numerator *= 1_000_000_000n;
  if (numerator % denominator !== 0n) throw invalid('value is too precise');
  return Number(numerator / denominator);
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, 'µs': 1e3, 'μs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Go's durations (`1h30m`, `1.5s`, `-3m`): nanoseconds. */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text);
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return 0;
  if (rest === '') throw invalid(`time: invalid duration ${quoted}`);
  let total = 0;
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw invalid(`time: invalid duration ${quoted}`);
    rest = rest.slice(number.length);
    const unit = /^[^0-9.]+/.exec(rest)?.[0];
    if (unit === undefined) throw invalid(`time: missing unit in duration ${quoted}`);
    const scale = DURATION_UNITS[unit];
    if (scale === undefined) throw invalid(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    rest = rest.slice(unit.length);
    total += Number(number) * scale;
  }
  if (total > Number.MAX_SAFE_INTEGER * 1024) throw invalid(`time: invalid duration ${quoted}`);
  return Math.round(text.startsWith('-') ? -total : total);
}
