import { NaruError } from '#spec/errors.ts';

/** `bool`, `text`, `number` or `list` (may be repeated), with its one-letter form. */
export interface FlagDefinition { readonly kind: 'bool' | 'text' | 'number' | 'list'; readonly short?: string }
export type FlagTable = Readonly<Record<string, FlagDefinition>>;

type FlagValue<D extends FlagDefinition> = D['kind'] extends 'bool' ? boolean : D['kind'] extends 'number' ? number | undefined : D['kind'] extends 'list' ? readonly string[] : string | undefined;
export type Flags<T extends FlagTable> = { readonly [K in keyof T]: FlagValue<T[K]> };
export interface Parsed<T extends FlagTable> { readonly flags: Flags<T>; readonly rest: readonly string[] }

export const bool = { kind: 'bool' } as const;
export const text = { kind: 'text' } as const;
export const number = { kind: 'number' } as const;
export const list = { kind: 'list' } as const;

/** Words into flags, as Go's flag package reads them: `--name value`, `--name=value`, one dash or two, `-x value`. `stop`: the
 *  first word that is no flag ends them. Throws `invalid`. */
export function parseFlags<const T extends FlagTable>(words: readonly string[], table: T, options: { readonly stop?: boolean } = {}): Parsed<T> {
  const values: Record<string, boolean | string | number | string[]> = {};
  for (const [name, { kind }] of Object.entries(table)) {
    if (kind === 'bool') values[name] = false;
    if (kind === 'list') values[name] = [];
  }
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') {
      rest.push(...words.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      if (options.stop === true) {
        rest.push(...words.slice(i));
        break;
      }
      rest.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const given = word.slice(word.startsWith('--') ? 2 : 1, equals < 0 ? undefined : equals);
    const name = Object.hasOwn(table, given) ? given : Object.keys(table).find((n) => table[n]!.short === given);
    if (name === undefined) throw new NaruError('invalid', `flag provided but not defined: -${given}`, { hint: 'naru runtime --help lists the flags' });
    const { kind } = table[name]!;
    if (kind === 'bool') {
      const value = equals < 0 ? 'true' : word.slice(equals + 1);
      if (!['true', 'false', '1', '0', 't', 'f'].includes(value)) throw new NaruError('invalid', `invalid value "${value}" for flag -${given}: true or false`);
      values[name] = value.startsWith('t') || value === '1';
      continue;
    }
    const value = equals < 0 ? words[++i] : word.slice(equals + 1);
    if (value === undefined) throw new NaruError('invalid', `flag needs an argument: -${given}`);
    if (kind === 'list') (values[name] as string[]).push(value);
    else if (kind === 'text') values[name] = value;
    else if (/^-?\d+$/.test(value)) values[name] = Number(value);
    else throw new NaruError('invalid', `invalid value ${JSON.stringify(value)} for flag -${given}: a number is needed`);
  }
  return { flags: values as Flags<T>, rest };
}
