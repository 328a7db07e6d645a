/** What is wrong with a value, and where below it: `keys` from the innermost outwards. */
export interface Fault { readonly keys: string[]; readonly problem: string }
/** Looks at a value that is there; undefined: it is as it should be. */
export type Shape = (value: unknown) => Fault | undefined;

const fault = (problem: string): Fault => ({ keys: [], problem });
export const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';

/** The JSON pointer (RFC 6901) of a fault. */
export const faultPointer = ({ keys }: Fault): string => keys.map((key) => `/${escapePointer(key)}`).reverse().join('');
export const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

const below = (key: string | number, found: Fault | undefined): Fault | undefined => {
  found?.keys.push(String(key));
  return found;
};

/** A string without NUL bytes, of at most `most` UTF-8 bytes. */
export const text = (most = Infinity): Shape => (value) => {
  if (typeof value !== 'string') return fault('must be a string');
  if (value.includes('\0')) return fault('has a NUL byte in it');
  return Buffer.byteLength(value) > most ? fault(`is longer than ${most} bytes`) : undefined;
};

export const flag: Shape = (value) => (typeof value === 'boolean' ? undefined : fault('must be true or false'));

export const whole = (least: number, most: number): Shape => (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? undefined : fault(`${show(value)} is not a number from ${least} to ${most}`);

/** A whole number of any size: 64-bit values are not exact in JSON numbers. */
export const integer: Shape = (value) => (typeof value === 'number' && Number.isInteger(value) ? undefined : fault(`${show(value)} is not a whole number`));
export const natural: Shape = (value) => (typeof value === 'number' && Number.isInteger(value) && value >= 0 ? undefined : fault(`${show(value)} is not a whole number from 0 on`));

export const oneOf = (...names: readonly string[]): Shape => (value) =>
  typeof value === 'string' && names.includes(value) ? undefined : fault(`${show(value)} is not one of ${names.join(', ')}`);

export const listOf = (item: Shape, most = Infinity): Shape => (value) => {
  if (!Array.isArray(value)) return fault('must be a list');
  if (value.length > most) return fault(`has more than ${most} entries`);
  for (let i = 0; i < value.length; i++) {
    const found = item(value[i]);
    if (found !== undefined) return below(i, found);
  }
  return undefined;
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export const mapOf = (item: Shape): Shape => (value) => {
  if (!isObject(value)) return fault('must be an object');
  for (const key in value) {
    const found = item(value[key]);
    if (found !== undefined) return below(key, found);
  }
  return undefined;
};

/** An object with these fields. What it has beside them is nobody's business here (runtime-spec, "Extensibility"). A field
 *  that is undefined or null is not there; those in `required` must be. */
export const record = (fields: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape => (value) => {
  if (!isObject(value)) return fault('must be an object');
  for (const key of required) if (value[key] === undefined || value[key] === null) return below(key, fault('missing'));
  for (const key in value) {
    const shape = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const item = value[key];
    if (shape === undefined || item === undefined || item === null) continue;
    const found = shape(item);
    if (found !== undefined) return below(key, found);
  }
  return undefined;
};

/** A further condition on what has the shape. */
export const also = (shape: Shape, problem: (value: never) => string | undefined): Shape => (value) => {
  const found = shape(value);
  if (found !== undefined) return found;
  const said = problem(value as never);
  return said === undefined ? undefined : fault(said);
};
