import { NaruError } from '#spec/errors.ts';
import type { Filters } from '#spec/engine-api.ts';

const FALSE_WORDS = new Set(['', '0', 'no', 'false', 'none']);
const INTEGER = /^[+-]?[0-9]{1,15}$/;
const TIMESTAMP = /^(-?[0-9]{1,12})(?:\.([0-9]{1,9})[0-9]*)?$/;
const NANOS = 1_000_000_000n;

/** The query of a request, read by Docker's rules. Parameters that nobody asks for are ignored. */
export class Query {
  readonly #raw: string;
  #parsed: URLSearchParams | undefined;

  constructor(raw: string) {
    this.#raw = raw;
  }

  get #params(): URLSearchParams {
    this.#parsed ??= new URLSearchParams(this.#raw);
    return this.#parsed;
  }

  has(name: string): boolean {
    return this.#raw !== '' && this.#params.has(name);
  }
  /** '' when it is missing. */
  text(name: string): string {
    return this.#raw === '' ? '' : (this.#params.get(name) ?? '');
  }
  all(name: string): string[] {
    return this.#raw === '' ? [] : this.#params.getAll(name);
  }
  /** True for anything but the empty string, 0, no, false and none. */
  flag(name: string, whenMissing = false): boolean {
    return this.has(name) ? !FALSE_WORDS.has(this.text(name).trim().toLowerCase()) : whenMissing;
  }
  /** undefined when it is missing or empty; errors: invalid. */
  integer(name: string): number | undefined {
    const value = this.text(name);
    if (value === '') return undefined;
    if (!INTEGER.test(value)) throw new NaruError('invalid', `invalid value for ${name}: ${JSON.stringify(value)} is not a whole number`);
    return Number(value);
  }
  /** A parameter that has to be there. */
  required(name: string): string {
    const value = this.text(name);
    if (value === '') throw new NaruError('invalid', `bad parameter: ${name} cannot be empty`);
    return value;
  }
  /** `seconds[.fraction]` since the epoch, as nanoseconds; 0n when missing. */
  timestamp(name: string): bigint {
    const value = this.text(name);
    if (value === '') return 0n;
    const match = TIMESTAMP.exec(value);
    if (match === null) throw new NaruError('invalid', `invalid value for ${name}: ${JSON.stringify(value)} is not a time in seconds`);
    const whole = BigInt(match[1]!) * NANOS;
    const fraction = BigInt((match[2] ?? '').padEnd(9, '0'));
    return value.startsWith('-') ? whole - fraction : whole + fraction;
  }
  /** `{"key":{"value":true}}`, or the older `{"key":["value"]}`. */
  filters(name = 'filters'): Filters {
    return parseFilters(this.text(name));
  }
}

export function parseFilters(text: string): Filters {
  const filters = new Map<string, readonly string[]>();
  if (text === '') return filters;
  for (const [key, values] of Object.entries(filterObject(text))) {
    if (Array.isArray(values)) {
      if (!values.every((value) => typeof value === 'string')) throw new NaruError('invalid', 'invalid filter');
      filters.set(key, [...new Set(values as string[])]);
    } else if (typeof values === 'object' && values !== null) {
      if (!Object.values(values).every((value) => typeof value === 'boolean')) throw new NaruError('invalid', 'invalid filter');
      filters.set(key, Object.keys(values));
    } else {
      throw new NaruError('invalid', 'invalid filter');
    }
  }
  return filters;
}

function filterObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NaruError('invalid', 'invalid filter', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NaruError('invalid', 'invalid filter');
  return value;
}
