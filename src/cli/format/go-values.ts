import { goJson, goQuote } from './go-strings.ts';

/** A nil slice and a nil map of a typed field: JSON null, but they print and count as empty. */
export const NIL_LIST: readonly unknown[] = Object.freeze([]);
export const NIL_MAP: Readonly<Record<string, unknown>> = Object.freeze({});
/** What a missing key of a map gives. */
export const NO_VALUE: unique symbol = Symbol('no value');

const maps = new WeakSet<object>([NIL_MAP]);

/** From now on `object` prints as a Go map, not as a struct. */
export const markAsMap = <T extends object>(object: T): T => {
  maps.add(object);
  return object;
};
export const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && maps.has(value);

/** Go's notion of a value that is not zero. */
export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined || value === NO_VALUE || value === '' || value === 0 || value === false || value === 0n) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value as object).length > 0;
  return true;
}

/** Go's `%v`. */
export function goPrint(value: unknown): string {
  if (value === NO_VALUE || value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (typeof value === 'number') return goNumber(value);
  if (Array.isArray(value)) return `[${value.map((item) => goPrint(item)).join(' ')}]`;
  if (typeof value === 'object') {
    if (isMap(value)) return `map[${Object.keys(value).sort().map((key) => `${key}:${goPrint((value as Record<string, unknown>)[key])}`).join(' ')}]`;
    return `{${Object.values(value).filter((item) => typeof item !== 'function').map((item) => goPrint(item)).join(' ')}}`;
  }
  return String(value);
}

export function goNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Go's JSON of a value: maps by key, nil slices and maps as null. */
export function valueJson(value: unknown): string {
  return goJson(plain(value));
}

function plain(value: unknown): unknown {
  if (value === NIL_LIST || value === NIL_MAP || value === NO_VALUE || value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    const source = value as Record<string, unknown>;
    const keys = isMap(value) ? Object.keys(source).sort() : Object.keys(source);
    return Object.fromEntries(keys.filter((key) => typeof source[key] !== 'function').map((key) => [key, plain(source[key])]));
  }
  return value;
}

/** Go's Sprintf for the verbs v s q d t f e g x X c b o U % with flags, width and precision. */
export function goPrintf(format: string, args: readonly unknown[]): string {
  let next = 0;
  const out = format.replace(/%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?([a-zA-Z%])/g, (_, flags: string, widthText: string | undefined, precisionText: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    const width = widthText === '*' ? Number(args[next++]) : Number(widthText ?? 0);
    const precision = precisionText === undefined ? undefined : precisionText === '*' ? Number(args[next++]) : Number(precisionText || 0);
    if (next >= args.length) return `%!${verb}(MISSING)`;
    const text = formatVerb(verb, args[next++], flags, precision);
    if (flags.includes('-')) return text.padEnd(width);
    if (flags.includes('0') && /^[+-]?[0-9]/.test(text)) return text.replace(/^([+-]?)(.*)$/, (__, sign: string, digits: string) => sign + digits.padStart(width - sign.length, '0'));
    return text.padStart(width);
  });
  if (next >= args.length) return out;
  return `${out}%!(EXTRA ${args.slice(next).map((arg) => `${goType(arg)}=${goPrint(arg)}`).join(', ')})`;
}

function formatVerb(verb: string, value: unknown, flags: string, precision: number | undefined): string {
  const sign = (text: string, n: number): string => (n >= 0 ? (flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text) : text);
  const bad = (): string => `%!${verb}(${goType(value)}=${goPrint(value)})`;
  switch (verb) {
    case 'v':
      return typeof value === 'string' && flags.includes('#') ? goQuote(value) : goPrint(value);
    case 's': {
      if (typeof value === 'number' || typeof value === 'boolean') return bad();
      const text = goPrint(value);
      return precision === undefined ? text : [...text].slice(0, precision).join('');
    }
    case 'q':
      return typeof value === 'string' ? goQuote(value) : Array.isArray(value) ? `[${value.map((v) => goQuote(String(v))).join(' ')}]` : bad();
    case 't':
      return typeof value === 'boolean' ? String(value) : bad();
    case 'd':
      return typeof value === 'number' && Number.isInteger(value) ? sign(goNumber(value), value) : bad();
    case 'f':
    case 'F':
      return typeof value === 'number' ? sign(value.toFixed(precision ?? 6), value) : bad();
    case 'e':
      return typeof value === 'number' ? sign(value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2'), value) : bad();
    case 'g':
      return typeof value === 'number' ? sign(precision === undefined ? goNumber(value) : formatG(value, precision), value) : bad();
    case 'x':
    case 'X': {
      const hex = typeof value === 'number' ? value.toString(16) : typeof value === 'string' ? [...new TextEncoder().encode(value)].map((b) => b.toString(16).padStart(2, '0')).join('') : undefined;
      return hex === undefined ? bad() : verb === 'X' ? hex.toUpperCase() : hex;
    }
    case 'o':
    case 'b':
      return typeof value === 'number' ? value.toString(verb === 'o' ? 8 : 2) : bad();
    case 'c':
      return typeof value === 'number' ? String.fromCodePoint(value) : bad();
    case 'T':
      return goType(value);
    default:
      return bad();
  }
}

/** Go's `%.Ng`: N significant digits, no trailing zeros, an exponent where it is shorter. */
export function formatG(value: number, digits: number): string {
  if (value === 0) return '0';
  const exponential = value.toExponential(Math.max(0, digits - 1));
  const exponent = Number(exponential.slice(exponential.indexOf('e') + 1));
  const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (exponent < -4 || exponent >= digits) return `${trim(exponential.slice(0, exponential.indexOf('e')))}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  return trim(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

export function goType(value: unknown): string {
  if (value === null || value === undefined || value === NO_VALUE) return '<nil>';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (Array.isArray(value)) return '[]interface {}';
  return isMap(value) ? 'map[string]interface {}' : 'struct';
}
