import { goPrint, goPrintf, goType, isMap, isTrue, NIL_LIST, NO_VALUE, valueJson } from './go-values.ts';

export type TemplateFunction = (args: readonly unknown[]) => unknown;

const fail = (name: string, message: string): Error => new Error(`error calling ${name}: ${message}`);

/** What templates can call. `and` and `or` are the evaluator's own: they do not look at what they do not need. */
export const TEMPLATE_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  and: () => undefined,
  or: () => undefined,
  not: ([value]) => !isTrue(value),
  len: ([value]) => length(value),
  index: (args) => index(args),
  slice: (args) => slice(args),
  print: (args) => args.map((arg, i) => (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ` ${goPrint(arg)}` : goPrint(arg))).join(''),
  println: (args) => `${args.map(goPrint).join(' ')}\n`,
  printf: ([format, ...args]) => goPrintf(text(format), args),
  html: (args) => args.map(goPrint).join('').replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;' })[c] ?? '&#39;'),
  js: (args) => args.map(goPrint).join('').replace(/[\\'"<>&=]/g, (c) => ({ '\\': '\\\\', "'": "\\'", '"': '\\"' })[c] ?? `\\u00${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`),
  urlquery: (args) => encodeURIComponent(args.map(goPrint).join('')).replace(/%20/g, '+'),
  eq: ([first, ...rest]) => {
    if (rest.length === 0) throw fail('eq', 'missing argument for comparison');
    return rest.some((other) => equal('eq', first, other));
  },
  ne: ([a, b]) => !equal('ne', a, b),
  lt: ([a, b]) => compare('lt', a, b) < 0,
  le: ([a, b]) => compare('le', a, b) <= 0,
  gt: ([a, b]) => compare('gt', a, b) > 0,
  ge: ([a, b]) => compare('ge', a, b) >= 0,
  json: ([value]) => valueJson(value),
  split: ([value, separator]) => text(value).split(text(separator)),
  join: ([values, separator]) => {
    if (!Array.isArray(values)) throw new Error(`wrong type for value; expected []string; got ${goType(values)}`);
    return (values as unknown[]).map(goPrint).join(text(separator));
  },
  title: ([value]) => text(value).replace(/(^|[^\p{L}\p{N}_'])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase()),
  lower: ([value]) => text(value).toLowerCase(),
  upper: ([value]) => text(value).toUpperCase(),
  pad: ([value, before, after]) => {
    const inner = text(value);
    return inner === '' ? '' : ' '.repeat(Number(before)) + inner + ' '.repeat(Number(after));
  },
  truncate: ([value, size]) => text(value).slice(0, Number(size)),
};

/** In a table's header line the functions leave the column's name alone. */
export const HEADER_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  ...TEMPLATE_FUNCTIONS,
  ...Object.fromEntries(['json', 'split', 'join', 'title', 'lower', 'upper', 'truncate'].map((name) => [name, ([value]: readonly unknown[]) => value])),
};

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`wrong type for value; expected string; got ${goType(value)}`);
}

function length(value: unknown): number {
  if (typeof value === 'string') return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  if (isMap(value)) return Object.keys(value as object).length;
  throw fail('len', value === null || value === NO_VALUE ? 'len of nil pointer' : `len of type ${goType(value)}`);
}

function index([container, ...keys]: readonly unknown[]): unknown {
  let value = container;
  for (const key of keys) {
    if (value === null || value === undefined || value === NO_VALUE) throw fail('index', 'index of untyped nil');
    if (Array.isArray(value) || typeof value === 'string') {
      if (typeof key !== 'number') throw fail('index', `cannot index slice/array with type ${goType(key)}`);
      if (key < 0 || key >= value.length) throw fail('index', `error calling index: index out of range: ${key}`.replace('error calling index: ', ''));
      value = typeof value === 'string' ? value.charCodeAt(key) : (value as unknown[])[key];
    } else if (typeof value === 'object') {
      if (!isMap(value)) throw fail('index', `can't index item of type ${goType(value)}`);
      const entries = value as Record<string, unknown>;
      if (typeof key !== 'string') throw fail('index', `value has type ${goType(key)}; should be string`);
      value = Object.hasOwn(entries, key) ? (entries[key] ?? NIL_LIST) : zeroLike(Object.values(entries)[0]);
    } else throw fail('index', `can't index item of type ${goType(value)}`);
  }
  return value;
}

/** A missing key gives the zero value of the map's type: known by its neighbours. */
function zeroLike(neighbour: unknown): unknown {
  if (Array.isArray(neighbour) || neighbour === null) return NIL_LIST;
  if (typeof neighbour === 'object') return null;
  return '';
}

function slice([value, from, to]: readonly unknown[]): unknown {
  if (typeof value !== 'string' && !Array.isArray(value)) throw fail('slice', `can't slice item of type ${goType(value)}`);
  const start = from === undefined ? 0 : Number(from);
  const end = to === undefined ? value.length : Number(to);
  for (const at of [start, end]) if (at < 0 || at > value.length) throw fail('slice', `index out of range: ${at}`);
  return value.slice(start, end);
}

function equal(name: string, a: unknown, b: unknown): boolean {
  const nil = (value: unknown): boolean => value === null || value === undefined || value === NO_VALUE;
  if (nil(a) || nil(b)) return nil(a) && nil(b);
  if (typeof a !== typeof b) throw fail(name, 'incompatible types for comparison');
  if (typeof a === 'object') throw fail(name, 'non-comparable type');
  return a === b;
}

function compare(name: string, a: unknown, b: unknown): number {
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) throw fail(name, typeof a === typeof b ? 'invalid type for comparison' : 'incompatible types for comparison');
  return a < (b as typeof a) ? -1 : a === b ? 0 : 1;
}
