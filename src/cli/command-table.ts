import type { Command, CommandGroup } from './command.ts';
import { CONTAINER_COMMANDS } from './container-commands.ts';
import { flag, type Flag } from './flags/flag.ts';
import { IMAGE_COMMANDS } from './image-commands.ts';
import { OBJECT_COMMANDS } from './object-commands.ts';

/** Every command there is. */
export const COMMANDS: readonly Command[] = [...CONTAINER_COMMANDS, ...IMAGE_COMMANDS, ...OBJECT_COMMANDS];

export const GROUPS: readonly CommandGroup[] = [
  { name: 'builder', summary: 'Manage builds' },
  { name: 'container', summary: 'Manage containers' },
  { name: 'context', summary: 'Manage contexts: names for daemons' },
  { name: 'image', summary: 'Manage images' },
  { name: 'manifest', summary: 'Manage lists of images for several platforms' },
  { name: 'network', summary: 'Manage networks' },
  { name: 'plan', summary: 'Show what would be done' },
  { name: 'system', summary: 'Manage the daemon' },
  { name: 'volume', summary: 'Manage volumes' },
];

/** Flags before the command. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  flag('config', 'string', 'Directory of the client\'s configuration (default ~/.docker)', { completes: 'files' }),
  flag('context,c', 'string', 'The context whose daemon is meant (see context ls)', { completes: 'contexts' }),
  flag('debug,D', 'bool', 'Show more when something fails'),
  flag('host,H', 'list', 'The daemon\'s address (unix://, tcp://, ssh://)'),
  flag('log-level,l', 'string', 'debug, info, warn, error or fatal', { default: 'info' }),
  flag('tls', 'bool', 'Use TLS'),
  flag('tlscacert', 'string', 'Trust this CA', { completes: 'files' }),
  flag('tlscert', 'string', 'Your TLS certificate', { completes: 'files' }),
  flag('tlskey', 'string', 'Your TLS key', { completes: 'files' }),
  flag('tlsverify', 'bool', 'Use TLS and check the daemon\'s certificate'),
  flag('version,v', 'bool', 'Print the version'),
];

/** What the first words mean: a command, a group, or nothing known. */
export interface Found { readonly command: Command | undefined; readonly group: CommandGroup | undefined; readonly path: string; readonly rest: readonly string[] }

export function findCommand(words: readonly string[], program: string): Found {
  const [first, second] = words;
  const visible = (command: Command): boolean => command.naru !== true || program !== 'docker';
  const byName = (name: string): Command | undefined => COMMANDS.find((command) => command.names.includes(name) && visible(command));
  const group = GROUPS.find((candidate) => candidate.name === first && !(program === 'docker' && candidate.name === 'plan'));
  if (group !== undefined) {
    const path = `${first} ${second ?? ''}`;
    const command = second === undefined ? undefined : byName(path);
    if (command !== undefined) return { command, group, path, rest: words.slice(2) };
    return { command: undefined, group, path: group.name, rest: words.slice(1) };
  }
  const command = first === undefined ? undefined : byName(first);
  return { command, group: undefined, path: first ?? '', rest: words.slice(1) };
}
