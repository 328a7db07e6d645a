import { COMMANDS } from './all-commands.ts';
import type { Command, CommandGroup } from './command.ts';
import { GLOBAL_FLAGS, GROUPS, OTHER_LINKS } from './command-table.ts';
import type { Flag } from './flags/flag.ts';
import { FLAG_TYPES } from './flags/flag-types.ts';

const WIDTH = 79;

/** `naru run [OPTIONS] IMAGE …`: the usage line of a command as it was called. */
export function usageLine(command: Command, program: string, path: string): string {
  const usage = command.usage.replace('{program}', program).replace('{command}', path);
  return `${program} ${path}${usage === '' ? '' : ` ${usage}`}`;
}

/** The help page of a command. */
export function commandHelp(command: Command, program: string, path: string): string {
  const lines = [`Usage:  ${usageLine(command, program, path)}`, '', command.details ?? command.summary, ''];
  if (command.names.length > 1) lines.push('Aliases:', `  ${[...command.names].sort((a, b) => Number(b.includes(' ')) - Number(a.includes(' '))).map((name) => `${program} ${name}`).join(', ')}`, '');
  const flags = command.flags().filter((flag) => flag.hidden !== true && visible(flag, program));
  if (flags.length > 0) lines.push('Options:', ...flagLines(flags), '');
  return lines.join('\n');
}

/** The help page of a word that only groups commands. */
export function groupHelp(group: CommandGroup, program: string): string {
  const commands = COMMANDS.filter((command) => visible(command, program) && command.hidden !== true).flatMap((command) => {
    const name = command.names.find((candidate) => candidate.startsWith(`${group.name} `));
    return name === undefined ? [] : [{ name: name.slice(group.name.length + 1), summary: command.summary }];
  });
  return [`Usage:  ${program} ${group.name} COMMAND`, '', group.summary, '', 'Commands:', ...columns(commands), '', `Run '${program} ${group.name} COMMAND --help' for more information on a command.`, ''].join('\n');
}

/** The front page. */
export function frontHelp(program: string): string {
  const top = COMMANDS.filter((command) => !(command.names[0] as string).includes(' ') && command.hidden !== true && visible(command, program));
  const row = (command: Command): { name: string; summary: string } => ({ name: command.names[0] as string, summary: command.summary });
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
  const groups = GROUPS.filter((group) => group.hidden !== true && !(program === 'docker' && group.name === 'plan'));
  const rest = top.filter((command) => command.common !== true).map(row);
  if (program !== 'docker') rest.push(...OTHER_LINKS);
  return [
    `Usage:  ${program} [OPTIONS] COMMAND`, '', 'Containers, from the command line to the kernel', '',
    'Common Commands:', ...columns(top.filter((command) => command.common === true).map(row)), '',
    'Management Commands:', ...columns(groups), '',
    'Commands:', ...columns(rest.sort(byName)), '',
    'Global Options:', ...flagLines(GLOBAL_FLAGS), '',
    `Run '${program} COMMAND --help' for more information on a command.`, '',
  ].join('\n');
}

const visible = (item: { naru?: boolean }, program: string): boolean => item.naru !== true || program !== 'docker';

function columns(rows: readonly { name: string; summary: string }[]): string[] {
  const width = Math.max(11, ...rows.map((row) => row.name.length + 1));
  return rows.map((row) => `  ${row.name.padEnd(width)} ${row.summary}`);
}

function flagLines(flags: readonly Flag[]): string[] {
  const rows = flags.map((flag) => {
    const label = flag.type === 'trace' ? '[=file]' : FLAG_TYPES[flag.type].label;
    const left = `${flag.short === undefined ? '    ' : `-${flag.short}, `}--${flag.name}${label === '' ? '' : label.startsWith('[') ? label : ` ${label}`}`;
    const shown = flag.default === undefined || flag.default === '' ? '' : ` (default ${flag.type === 'string' ? JSON.stringify(flag.default) : flag.default})`;
    return { left, right: `${flag.help}${shown}` };
  });
  const indent = Math.max(...rows.map((row) => row.left.length)) + 5;
  return rows.flatMap(({ left, right }) => {
    const [first = '', ...more] = wrap(right, Math.max(24, WIDTH - indent));
    return [`  ${left}`.padEnd(indent) + first, ...more.map((line) => ' '.repeat(indent) + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
