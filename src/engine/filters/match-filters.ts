import { NaruError } from '#spec/errors.ts';
import type { Filters, StringMap } from '#spec/engine-api.ts';
import { parseMoment } from '../time/parse-moment.ts';

/** Throws invalid for a key that this listing does not know. */
export function checkFilterKeys(filters: Filters, accepted: ReadonlySet<string>): void {
  for (const key of filters.keys()) {
    if (!accepted.has(key)) throw new NaruError('invalid', `invalid filter '${key}'`);
  }
}

/** Does one of the accepted values equal this one? True when the filter is absent. */
export function matchesExactly(filters: Filters, key: string, value: string): boolean {
  const accepted = filters.get(key);
  return accepted === undefined || accepted.length === 0 || accepted.includes(value);
}

/** `label=k` or `label=k=v`: all of them must hold; `label!` (key `label!`): none may. */
export function matchesLabels(filters: Filters, labels: StringMap | null | undefined): boolean {
  const own = labels ?? {};
  const has = (wanted: string): boolean => {
    const at = wanted.indexOf('=');
    return at < 0 ? Object.hasOwn(own, wanted) : Object.hasOwn(own, wanted.slice(0, at)) && own[wanted.slice(0, at)] === wanted.slice(at + 1);
  };
  return (filters.get('label') ?? []).every(has) && !(filters.get('label!') ?? []).some(has);
}

/** A boolean filter: undefined when absent; throws for anything that is not a boolean, or for both. */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key);
  if (values === undefined || values.length === 0) return undefined;
  const read = values.map((value) => {
    if (['1', 'true', 't', 'TRUE', 'True', 'T'].includes(value)) return true;
    if (['0', 'false', 'f', 'FALSE', 'False', 'F'].includes(value)) return false;
    throw new NaruError('invalid', `invalid filter '${key}=[${values.join(' ')}]'`);
  });
  if (read.some((value) => value !== read[0])) throw new NaruError('invalid', `invalid filter '${key}=[${values.join(' ')}]'`);
  return read[0];
}

/** The one `until` value in nanoseconds; undefined when absent; throws for more than one. */
export function untilFilter(filters: Filters): bigint | undefined {
  const values = filters.get('until') ?? [];
  if (values.length > 1) throw new NaruError('invalid', 'more than one until filter specified');
  return values[0] === undefined ? undefined : parseMoment(values[0]);
}

/** Substring or regular expression, as the name filters of `ps` and `volume ls` match. True when the filter is absent. */
export function matchesPattern(filters: Filters, key: string, value: string): boolean {
  const patterns = filters.get(key);
  if (patterns === undefined || patterns.length === 0) return true;
  return patterns.some((pattern) => {
    if (value.includes(pattern)) return true;
    // Patterns come from clients: bounded, and only the linear-time subset is compiled.
    if (pattern.length > 256 || /[+*}]\s*\)?\s*[+*{]/.test(pattern)) return false;
    try {
      return new RegExp(pattern).test(value);
    } catch {
      return false;
    }
  });
}
