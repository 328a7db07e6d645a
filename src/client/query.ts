/** One query parameter; undefined is left out, a list is repeated. */
export type QueryValue = string | number | boolean | readonly string[] | undefined;

/** `?a=1&b=2` with the keys sorted, or the empty string. True is `1`; false is left out, as Docker's client does. */
export function query(values: Readonly<Record<string, QueryValue>>): string {
  const parts: string[] = [];
  for (const key of Object.keys(values).sort()) {
    const value = values[key];
    if (value === undefined || value === false) continue;
    const texts = Array.isArray(value) ? (value as readonly string[]) : [value === true ? '1' : String(value as string | number)];
    for (const text of texts) parts.push(`${escape(key)}=${escape(text)}`);
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** Filters as the query parameter's JSON: `{"label":{"a=b":true}}`; undefined when there are none. */
export function filterQuery(filters: ReadonlyMap<string, readonly string[]> | undefined): string | undefined {
  if (filters === undefined || filters.size === 0) return undefined;
  const out: Record<string, Record<string, true>> = {};
  for (const [key, values] of filters) {
    const set: Record<string, true> = (out[key] = {});
    for (const value of [...values].sort()) set[value] = true;
  }
  return JSON.stringify(out);
}

const escape = (text: string): string => encodeURIComponent(text).replaceAll('%20', '+');
