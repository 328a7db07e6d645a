import { NaruError } from '#spec/errors.ts';

const DEFAULT = Uint8Array.of(16, 17); // ctrl-p ctrl-q

const SPECIAL: Record<string, number> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 };

/** `ctrl-p,ctrl-q` or `a,b` to the bytes that a terminal sends. Empty: the default. Throws invalid, with Docker's
 *  word for them (an exec's are `escape`). */
export function parseDetachKeys(text: string, what: 'detach' | 'escape' = 'detach'): Uint8Array {
  if (text === '') return DEFAULT;
  const bytes: number[] = [];
  for (const key of text.split(',')) {
    if (/^ctrl-[a-zA-Z]$/.test(key)) bytes.push(key.toLowerCase().charCodeAt(5) - 96);
    else if (key.startsWith('ctrl-') && key.length === 6 && SPECIAL[key[5]!] !== undefined) bytes.push(SPECIAL[key[5]!]!);
    else if (/^[\x20-\x7e]$/.test(key)) bytes.push(key.charCodeAt(0));
    else if (key === 'DEL') bytes.push(127);
    else throw new NaruError('invalid', `Invalid ${what} keys (${text}) provided`);
  }
  return Uint8Array.from(bytes);
}
