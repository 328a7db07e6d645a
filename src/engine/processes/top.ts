import { NaruError } from '#spec/errors.ts';
import type { TopResponse } from '#spec/engine-api.ts';
import { BSD_FORMAT, COLUMNS, FULL_FORMAT, PLAIN_FORMAT, psContext, USER_FORMAT, type PsColumn } from './ps-columns.ts';
import { readProcess } from './read-process.ts';

const unsupported = (args: string): NaruError =>
  new NaruError('invalid', `ps options ${JSON.stringify(args)} are not supported`, { hint: 'use -ef, aux, or -o with column names such as pid,user,cmd' });

/** The columns that ps would show for these arguments. Throws invalid for what is not known here, and without a pid column. */
export function parsePsArgs(args: string): PsColumn[] {
  const words = args.trim() === '' ? ['-ef'] : args.trim().split(/\s+/);
  let format: PsColumn[] | undefined;
  let chosen: PsColumn[] | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const dashed = word.startsWith('-');
    const letters = dashed ? word.slice(1) : word;
    const at = letters.indexOf('o');
    // `-eo pid`, `-opid`, `o pid`, `axo pid`
    const flags = at >= 0 ? letters.slice(0, at) : letters;
    if (letters.startsWith('-') || !/^[a-zA-Z]*$/.test(flags)) throw unsupported(args);
    for (const flag of flags) {
      if (dashed ? 'eAa'.includes(flag) : 'axw'.includes(flag)) continue;
      if (dashed && flag === 'w') continue;
      if (dashed && (flag === 'f' || flag === 'F')) format = FULL_FORMAT;
      else if (flag === 'u') format = USER_FORMAT;
      else if (dashed && flag === 'x') format ??= BSD_FORMAT;
      else throw unsupported(args);
    }
    if (at < 0) {
      if (!dashed) format ??= BSD_FORMAT;
      continue;
    }
    const list = letters.slice(at + 1) || words[++i];
    if (list === undefined) throw unsupported(args);
    chosen = [...(chosen ?? []), ...list.split(',').map((entry) => columnOf(entry, args))];
  }
  const columns = chosen ?? format ?? PLAIN_FORMAT;
  if (!columns.some((column) => column.value === COLUMNS['pid']!.value)) throw new NaruError('invalid', "Couldn't find PID field in ps output");
  return columns;
}

/** `pid`, or with a title of one's own: `pid=NUMBER`. */
function columnOf(entry: string, args: string): PsColumn {
  const [name = '', title] = entry.split('=', 2);
  const column = Object.hasOwn(COLUMNS, name.toLowerCase()) ? COLUMNS[name.toLowerCase()] : undefined;
  if (column === undefined) throw unsupported(args);
  return title ? { ...column, title } : column;
}

/** Processes as ps on the host would show them, from /proc: no program is run. */
export function topProcesses(pids: readonly number[], psArgs: string): TopResponse {
  const columns = parsePsArgs(psArgs);
  const context = psContext();
  const rows: string[][] = [];
  for (const pid of [...pids].sort((a, b) => a - b)) {
    const process = readProcess(pid);
    if (process !== undefined) rows.push(columns.map((column) => column.value(process, context)));
  }
  return { Titles: columns.map((column) => column.title), Processes: rows };
}
