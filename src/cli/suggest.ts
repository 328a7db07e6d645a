import type { NaruError } from '#spec/errors.ts';
import { COMMANDS } from './all-commands.ts';
import { GROUPS, OTHER_LINKS } from './command-table.ts';
import type { Flag } from './flags/flag.ts';

/** So many slips of the finger at most: a letter too many, too few, another one, or two in the wrong order. */
const MOST_SLIPS = 2;

/** The one of these words that was probably meant; undefined: none is near, or it is as near to two. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const most = Math.min(MOST_SLIPS, Math.floor(word.length / 2));
  const near = [...new Set(candidates)].map((candidate) => ({ candidate, slips: slipsBetween(word, candidate) })).filter(({ slips }) => slips > 0 && slips <= most);
  const least = Math.min(...near.map(({ slips }) => slips));
  const best = near.filter(({ slips }) => slips === least);
  return best.length === 1 ? best[0]!.candidate : undefined;
}

/** Optimal string alignment distance: https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance */
function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MOST_SLIPS) return Infinity;
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const other = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + other);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** What was probably meant by a command that there is not; `group`: the word before it. */
export function hintForCommand(word: string, group: string | undefined): string | undefined {
  const prefix = group === undefined ? '' : `${group} `;
  const names = COMMANDS.flatMap((command) => command.names).filter((name) => (group === undefined ? !name.includes(' ') : name.startsWith(prefix))).map((name) => name.slice(prefix.length));
  const found = nearest(word, group === undefined ? [...names, ...GROUPS.map(({ name }) => name), ...OTHER_LINKS.map(({ name }) => name)] : names);
  return found === undefined ? undefined : `did you mean \`naru ${prefix}${found}\`?`;
}

/** What was probably meant, when the failure is a long flag that there is not. */
export function hintForFlag({ message }: NaruError, flags: readonly Flag[]): string | undefined {
  const [, word] = /^unknown flag: --([\w-]+)/.exec(message) ?? [];
  if (word === undefined) return undefined;
  const names = flags.map(({ name }) => name);
  const begun = names.filter((name) => word.length > 2 && name.startsWith(word));
  const found = nearest(word, names) ?? (begun.length === 1 ? begun[0] : undefined);
  return found === undefined ? undefined : `did you mean --${found}?`;
}
