import { NaruError } from '#spec/errors.ts';
import type { Flag } from './flag.ts';
import { FLAG_TYPES } from './flag-types.ts';

export interface ParseOptions {
  /** False: flags end at the first word that is none (`run`, `exec`). */
  readonly interspersed: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Told of the use of a deprecated flag. */
  readonly warn?: (message: string) => void;
}

/** A command line taken apart. */
export class ParsedFlags {
  readonly values = new Map<string, unknown>();
  readonly given = new Set<string>();
  args: string[] = [];
  /** `--help` (or `-h`) was among the flags. */
  help = false;
  readonly #flags: readonly Flag[];
  #defaults: Map<string, string> | undefined;

  constructor(flags: readonly Flag[]) {
    this.#flags = flags;
  }

  /** True when the user wrote it. */
  changed(name: string): boolean {
    return this.given.has(name);
  }

  bool(name: string): boolean {
    return (this.values.get(name) as boolean | undefined) ?? this.#default(name) === 'true';
  }

  string(name: string): string {
    return (this.values.get(name) as string | undefined) ?? this.#default(name) ?? '';
  }

  /** Also bytes, durations (nanoseconds) and CPUs (1e-9ths). */
  number(name: string): number {
    return (this.values.get(name) as number | undefined) ?? Number(this.#default(name) ?? 0);
  }

  list<T = string>(name: string): T[] {
    return (this.values.get(name) as T[] | undefined) ?? [];
  }

  /** `key=value` flags as an object. */
  map(name: string): Record<string, string> {
    return Object.fromEntries(this.list<[string, string]>(name));
  }

  /** `key=value` flags as the API's filters. */
  filters(name = 'filter'): Map<string, string[]> {
    const filters = new Map<string, string[]>();
    for (const [key, value] of this.list<[string, string]>(name)) {
      const values = filters.get(key);
      if (values === undefined) filters.set(key, [value]);
      else if (!values.includes(value)) values.push(value);
    }
    return filters;
  }

  #default(name: string): string | undefined {
    // A create request asks for a hundred: looking through a hundred flags for each took 1 ms.
    if (this.#defaults === undefined) {
      this.#defaults = new Map();
      for (const flag of this.#flags) if (flag.default !== undefined && !this.#defaults.has(flag.name)) this.#defaults.set(flag.name, flag.default);
    }
    return this.#defaults.get(name);
  }
}

/** Reads `words` as flags and arguments, with pflag's rules and messages. Throws NaruError invalid. */
export function parseFlags(words: readonly string[], flags: readonly Flag[], options: ParseOptions): ParsedFlags {
  const parsed = new ParsedFlags(flags);
  let at = 0;
  while (at < words.length) {
    const word = words[at++] as string;
    if (word === '--') {
      parsed.args.push(...words.slice(at));
      break;
    }
    if (word.length < 2 || word[0] !== '-') {
      if (!options.interspersed) {
        parsed.args.push(...words.slice(at - 1));
        break;
      }
      parsed.args.push(word);
      continue;
    }
    at = word[1] === '-' ? takeLong(word, words, at, flags, parsed, options) : takeShort(word, words, at, flags, parsed, options);
    if (parsed.help) break;
  }
  return parsed;
}

function takeLong(word: string, words: readonly string[], next: number, flags: readonly Flag[], parsed: ParsedFlags, options: ParseOptions): number {
  const body = word.slice(2);
  if (body.startsWith('-') || body.startsWith('=')) throw new NaruError('invalid', `bad flag syntax: ${word}`);
  const equals = body.indexOf('=');
  const name = equals < 0 ? body : body.slice(0, equals);
  const flag = flags.find((candidate) => candidate.name === name);
  if (flag === undefined) {
    if (name === 'help') {
      parsed.help = true;
      return next;
    }
    throw new NaruError('invalid', `unknown flag: --${name}`);
  }
  if (equals >= 0) set(flag, body.slice(equals + 1), parsed, options);
  else if (valueless(flag) !== undefined) set(flag, valueless(flag) as string, parsed, options);
  else if (next < words.length) set(flag, words[next++] as string, parsed, options);
  else throw new NaruError('invalid', `flag needs an argument: --${name}`);
  return next;
}

function takeShort(word: string, words: readonly string[], next: number, flags: readonly Flag[], parsed: ParsedFlags, options: ParseOptions): number {
  let letters = word.slice(1);
  while (letters !== '') {
    const letter = letters[0] as string;
    const flag = flags.find((candidate) => candidate.short === letter);
    if (flag === undefined) {
      if (letter === 'h') {
        options.warn?.('Flag shorthand -h has been deprecated, use --help');
        parsed.help = true;
        return next;
      }
      throw new NaruError('invalid', `unknown shorthand flag: '${letter}' in -${letters}`);
    }
    if (letters.length > 2 && letters[1] === '=') {
      set(flag, letters.slice(2), parsed, options);
      return next;
    }
    const implied = valueless(flag);
    if (implied !== undefined) {
      set(flag, implied, parsed, options);
      letters = letters.slice(1);
      continue;
    }
    if (letters.length > 1) set(flag, letters.slice(1), parsed, options);
    else if (next < words.length) set(flag, words[next++] as string, parsed, options);
    else throw new NaruError('invalid', `flag needs an argument: '${letter}' in -${letters}`);
    return next;
  }
  return next;
}

const valueless = (flag: Flag): string | undefined => (flag.type === 'bool' ? 'true' : flag.type === 'trace' ? '-' : undefined);

function set(flag: Flag, text: string, parsed: ParsedFlags, options: ParseOptions): void {
  const rule = FLAG_TYPES[flag.type];
  const name = flag.aliasOf ?? flag.name;
  let value: unknown;
  try {
    value = rule.parse(text, options.env);
  } catch (error) {
    const shown = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
    throw new NaruError('invalid', `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(shown)} flag: ${(error as Error).message}`, { cause: error });
  }
  if (flag.deprecated !== undefined) options.warn?.(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`);
  if (rule.many === true) parsed.values.set(name, [...parsed.list<unknown>(name), ...(value as unknown[])]);
  else parsed.values.set(name, value);
  parsed.given.add(flag.name);
  parsed.given.add(name);
}
