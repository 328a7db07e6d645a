import { createClient, type Client } from '#client/client.ts';
import { COMMANDS } from './all-commands.ts';
import { findCommand, GLOBAL_FLAGS, GROUPS, OTHER_LINKS } from './command-table.ts';
import type { Command } from './command.ts';
import { configDirectoryOf } from './config-file.ts';
import { DEFAULT_CONTEXT, listContexts } from './contexts/context-store.ts';
import { chooseDaemonHost } from './daemon-host.ts';
import type { Completion, Flag } from './flags/flag.ts';
import { parseFlags, type ParsedFlags } from './flags/parse-flags.ts';
import type { Io } from './io.ts';

/** A shell does not wait longer than this for names. */
const DEADLINE_MS = 1000;
/** Tells the shell to complete file names. */
const FILES = ':files';

interface Environment { readonly program: string; readonly env: NodeJS.ProcessEnv; readonly io: Io }

/** `__complete WORD… PARTIAL`: prints what the last word can become, one a line, with a tab and its help where there is one. */
export async function complete(words: readonly string[], globals: ParsedFlags, { program, env, io }: Environment): Promise<number> {
  let context = globals;
  let rest = [...words];
  // The line's own global flags say which daemon is asked.
  try {
    context = parseFlags(rest.slice(0, -1), GLOBAL_FLAGS, { interspersed: false, env });
    rest = [...context.args, rest.at(-1) ?? ''];
  } catch {
    // An unfinished global flag.
  }
  const partial = rest.at(-1) ?? '';
  const lines = await candidates(rest.slice(0, -1), partial, program, (kind) => names(kind, context, env));
  for (const line of lines) if (line === FILES || line.startsWith(partial)) io.out(`${line}\n`);
  return 0;
}

async function candidates(before: readonly string[], partial: string, program: string, named: (kind: Completion) => Promise<string[]>): Promise<string[]> {
  const shown = (command: Command): boolean => command.hidden !== true && !(command.naru === true && program === 'docker');
  const others = program === 'docker' ? [] : OTHER_LINKS;
  if (before.length === 0) {
    if (partial.startsWith('-')) return flagLines(GLOBAL_FLAGS, program);
    const words = COMMANDS.filter((command) => shown(command) && !(command.names[0] as string).includes(' ')).map((command) => `${command.names[0]}\t${command.summary}`);
    return [...words, ...GROUPS.filter((group) => group.hidden !== true).map((group) => `${group.name}\t${group.summary}`), ...others.map(({ name, summary }) => `${name}\t${summary}`), 'help\tShow help'].sort();
  }
  const other = others.find(({ name }) => name === before[0]);
  if (other !== undefined) return before.length > 1 || other.verbs.length === 0 ? [FILES] : [...other.verbs];
  const { command, group, rest } = await findCommand(before, program);
  if (command === undefined) {
    if (group === undefined || rest.length > 0) return [];
    return COMMANDS.filter(shown).flatMap((candidate) => candidate.names.filter((name) => name.startsWith(`${group.name} `)).slice(0, 1).map((name) => `${name.slice(group.name.length + 1)}\t${candidate.summary}`));
  }
  const pending = pendingFlag(rest, command.flags());
  if (pending !== undefined) return valuesOf(pending, partial, named);
  const equals = /^--([a-z0-9-]+)=(.*)$/.exec(partial);
  if (equals !== null) {
    const flag = command.flags().find((candidate) => candidate.name === equals[1]);
    return (flag === undefined ? [] : await valuesOf(flag, equals[2]!, named)).map((name) => (name === FILES ? name : `--${equals[1]}=${name}`));
  }
  const args = positionals(rest, command);
  const flagsAreOver = command.flagsFirst === true && args.length > 0;
  if (partial.startsWith('-') && !flagsAreOver) return flagLines(command.flags(), program);
  if (args.length >= (command.completeArgs ?? command.args[1])) return [command.flagsFirst === true ? FILES : ''].filter((line) => line !== '');
  if (command.names[0] === 'completion') return ['bash', 'zsh', 'fish'];
  const found = await named(command.completes ?? 'none');
  return command.names[0] === 'cp' && !partial.includes(':') ? [...(await named('containers')).map((name) => `${name}:`), FILES] : found.filter((name) => !args.includes(name));
}

/** Of SOURCE:TARGET the source: a path of the host's, or a volume. What is in the container only the container knows. */
async function valuesOf({ completes = 'none' }: Flag, partial: string, named: (kind: Completion) => Promise<string[]>): Promise<string[]> {
  if (completes !== 'mounts') return named(completes);
  if (partial.includes(':')) return [];
  return /^[./~]/.test(partial) ? [FILES] : (await named('volumes')).map((name) => `${name}:`);
}

function flagLines(flags: readonly Flag[], program: string): string[] {
  return flags.filter((flag) => flag.hidden !== true && !(flag.naru === true && program === 'docker')).map((flag) => `--${flag.name}\t${flag.help}`);
}

/** The flag that waits for its value at the end of `words`. */
function pendingFlag(words: readonly string[], flags: readonly Flag[]): Flag | undefined {
  const last = words.at(-1);
  if (last === undefined || last.includes('=') || !last.startsWith('-')) return undefined;
  const flag = last.startsWith('--') ? flags.find((candidate) => candidate.name === last.slice(2)) : flags.find((candidate) => candidate.short === last.at(-1));
  return flag === undefined || flag.type === 'bool' || flag.type === 'trace' ? undefined : flag;
}

function positionals(words: readonly string[], command: Command): readonly string[] {
  try {
    return parseFlags(words, command.flags(), { interspersed: command.flagsFirst !== true, env: {} }).args;
  } catch {
    return [];
  }
}

async function names(kind: Completion, globals: ParsedFlags, env: NodeJS.ProcessEnv): Promise<string[]> {
  if (kind === 'files') return [FILES];
  if (kind === 'none' || kind === 'mounts') return [];
  if (kind === 'contexts') return [DEFAULT_CONTEXT, ...listContexts(configDirectoryOf(globals.changed('config') ? globals.string('config') : undefined, env)).map(({ Name }) => Name).sort()];
  const { host, tls } = chooseDaemonHost(globals, env);
  const client = createClient({ host, ...(tls === undefined ? {} : { tls }) });
  const timeout = new Promise<string[]>((resolve) => setTimeout(() => resolve([]), DEADLINE_MS).unref());
  try {
    return await Promise.race([fetchNames(client, kind), timeout]);
  } catch {
    return []; // no daemon, no names
  } finally {
    client.close();
  }
}

async function fetchNames(client: Client, kind: Completion): Promise<string[]> {
  switch (kind) {
    case 'images':
      return (await client.images.list()).flatMap((image) => image.RepoTags ?? []).filter((tag) => !tag.startsWith('<none>')).flatMap((tag) => (tag.endsWith(':latest') ? [tag.slice(0, -':latest'.length), tag] : [tag]));
    case 'volumes':
      return ((await client.volumes.list()).Volumes ?? []).map((volume) => volume.Name);
    case 'networks':
      return (await client.networks.list()).map((network) => network.Name);
    default: {
      const containers = await client.containers.list({ all: kind !== 'running' });
      return containers.filter((container) => kind !== 'stopped' || container.State !== 'running').flatMap((container) => container.Names.slice(0, 1).map((name) => name.slice(1)));
    }
  }
}
