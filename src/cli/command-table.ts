import type { Command, CommandGroup } from './command.ts';
import { CONTAINER_COMMANDS } from './container-commands.ts';
import { flag, type Flag } from './flags/flag.ts';

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

/** Words that are no commands of this client: the executable is then another link of the chain, with a command line and help of its own (src/main.ts). */
export const OTHER_LINKS: readonly { readonly name: string; readonly summary: string; readonly verbs: readonly string[] }[] = [
  { name: 'daemon', summary: 'Run the daemon', verbs: [] },
  { name: 'registry', summary: 'Run a registry, and care for it', verbs: ['serve', 'gc', 'ls', 'rm', 'user'] },
  {
    name: 'runtime', summary: 'Be an OCI runtime, for other engines too',
    verbs: ['create', 'start', 'run', 'state', 'kill', 'delete', 'exec', 'ps', 'list', 'events', 'pause', 'resume', 'update', 'spec', 'features', 'checkpoint', 'restore'],
  },
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

export async function findCommand(words: readonly string[], program: string): Promise<Found> {
  const [first, second] = words;
  const visible = (command: Command): boolean => command.naru !== true || program !== 'docker';
  const among = (commands: readonly Command[], name: string): Command | undefined => commands.find((command) => command.names.includes(name) && visible(command));
  // Those of containers are used the most: they need not wait for the others to be loaded.
  const byName = async (name: string): Promise<Command | undefined> => among(CONTAINER_COMMANDS, name) ?? among((await import('./all-commands.ts')).COMMANDS, name);
  const group = GROUPS.find((candidate) => candidate.name === first && !(program === 'docker' && candidate.name === 'plan'));
  if (group !== undefined) {
    const path = `${first} ${second ?? ''}`;
    const command = second === undefined ? undefined : await byName(path);
    if (command !== undefined) return { command, group, path, rest: words.slice(2) };
    return { command: undefined, group, path: group.name, rest: words.slice(1) };
  }
  const command = first === undefined ? undefined : await byName(first);
  return { command, group: undefined, path: first ?? '', rest: words.slice(1) };
}
