import { NaruError } from '#spec/errors.ts';

/**
 * A small validator for request bodies. Like Docker's decoder it ignores unknown fields, takes null for "not given" and
 * matches field names regardless of case; unlike it, it says which field is wrong and what it expected.
 * A schema returns a clean copy of the value, or undefined for "not given".
 */
export type Schema = (value: unknown, where: string) => unknown;

const describe = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;

function wrong(where: string, expected: string, value: unknown): never {
  throw new NaruError('invalid', `invalid JSON: ${where === '' ? 'the body' : where} must be ${expected}, not ${describe(value)}`);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const join = (where: string, key: string): string => (where === '' ? key : `${where}.${key}`);

export const text: Schema = (value, where) => (typeof value === 'string' ? value : value === null ? undefined : wrong(where, 'a string', value));

export const flag: Schema = (value, where) => (typeof value === 'boolean' ? value : value === null ? undefined : wrong(where, 'true or false', value));

export const integer: Schema = (value, where) => {
  if (value === null) return undefined;
  if (typeof value !== 'number') return wrong(where, 'a whole number', value);
  if (!Number.isInteger(value)) throw new NaruError('invalid', `invalid JSON: ${where} must be a whole number, not ${value}`);
  return value;
};

export const number: Schema = (value, where) => (typeof value === 'number' ? value : value === null ? undefined : wrong(where, 'a number', value));

/** `{}` as the members of a set are written (`"80/tcp": {}`). */
export const emptyObject: Schema = (value, where) => (isRecord(value) || value === null ? {} : wrong(where, 'an object', value));

export const anything: Schema = (value) => value;

export const list = (item: Schema): Schema => (value, where) => {
  if (value === null) return undefined;
  if (!Array.isArray(value)) return wrong(where, 'a list', value);
  return value.map((each, i) => (each === null ? wrong(`${where}[${i}]`, 'a value', each) : item(each, `${where}[${i}]`)));
};

/** Docker also takes one string where it stores a list of words (Cmd, Entrypoint). */
export const textOrList: Schema = (value, where) => (typeof value === 'string' ? value : list(text)(value, where));

/** Keys are the user's; a null value becomes `whenNull`. */
export const mapOf = (item: Schema, whenNull: unknown = null): Schema => (value, where) => {
  if (value === null) return undefined;
  if (!isRecord(value)) return wrong(where, 'an object', value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, item(each, join(where, key)) ?? whenNull]));
};

/** Known fields only, under their canonical names. */
export const object = (fields: Readonly<Record<string, Schema>>): Schema => {
  const byLowerCase = new Map(Object.keys(fields).map((name) => [name.toLowerCase(), name]));
  return (value, where) => {
    if (value === null) return undefined;
    if (!isRecord(value)) return wrong(where, 'an object', value);
    const clean: Record<string, unknown> = {};
    for (const [key, each] of Object.entries(value)) {
      const name = Object.hasOwn(fields, key) ? key : byLowerCase.get(key.toLowerCase());
      if (name === undefined || (name !== key && Object.hasOwn(value, name))) continue;
      const result = fields[name]!(each, join(where, name));
      if (result !== undefined) clean[name] = result;
    }
    return clean;
  };
};
