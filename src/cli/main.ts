import { createClient, type Client } from '#client/client.ts';
import { NaruError } from '#spec/errors.ts';
import type { Command, CommandContext } from './command.ts';
import { findCommand, GLOBAL_FLAGS, OTHER_LINKS, type Found } from './command-table.ts';
import type { ConfigFile } from './config-file.ts';
import { readConfigFile } from './config-file.ts';
import { CLIENT_BUILD, CLIENT_VERSION, DOCKER_CLI_VERSION } from './client-version.ts';
import { chooseContext, chooseDaemonHost, defaultDaemonHost } from './daemon-host.ts';
import { exitCodeOf, USAGE_FAILURE } from './exit-codes.ts';
import type { Flag } from './flags/flag.ts';
import { parseFlags, type ParsedFlags } from './flags/parse-flags.ts';
import { processIo, type Io } from './io.ts';

export interface RunOptions {
  /** What we are called: `naru`, or `docker`. */
  readonly program: string;
  /** What starts the daemon when there is none. */
  readonly daemonCommand: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly io?: Io;
}

const LOG_LEVELS = ['panic', 'fatal', 'error', 'warn', 'warning', 'info', 'debug', 'trace'];

/**
 * Runs one command line (without the program's name) and resolves with its exit status, having said all there is to say.
 * Nothing is left open but a read of stdin that nobody can take back: end the process with `process.exit`.
 */
export async function run(argv: readonly string[], given: RunOptions): Promise<number> {
  // A copy by another name is still naru.
  const options = { ...given, program: given.program === 'docker' ? 'docker' : 'naru' };
  const io = options.io ?? processIo();
  try {
    return await runLine(argv, options, io);
  } catch (error) {
    report(error, options.program, io, argv);
    return exitCodeOf(error);
  }
}

async function runLine(argv: readonly string[], options: RunOptions, io: Io): Promise<number> {
  const { program } = options;
  const env = options.env ?? process.env;
  const warn = (message: string): void => io.out(`${message}\n`);
  let globals: ParsedFlags;
  try {
    globals = parseFlags(argv, GLOBAL_FLAGS, { interspersed: false, env, warn });
  } catch (error) {
    throw usageError(error, { usage: `${program} [OPTIONS] COMMAND [ARG...]`, path: program, hint: await flagHint(error, GLOBAL_FLAGS) });
  }
  if (globals.help) return help(globals.args, program, io);
  if (globals.bool('version')) {
    io.out(program === 'docker' ? `Docker version ${DOCKER_CLI_VERSION}, build ${CLIENT_BUILD}\n` : `naru version ${CLIENT_VERSION}\n`);
    return 0;
  }
  const level = globals.string('log-level');
  if (!LOG_LEVELS.includes(level.toLowerCase())) throw new NaruError('invalid', `Unable to parse logging level: ${level}`);
  if (globals.args.length === 0) {
    io.err((await import('./help.ts')).frontHelp(program));
    return 0;
  }
  if (globals.args[0] === 'help') return help(globals.args.slice(1), program, io);
  if (globals.args[0] === '__complete') return (await import('./complete.ts')).complete(globals.args.slice(1), globals, { program, env, io });

  const found = await findCommand(globals.args, program);
  if (found.command === undefined) return unknownCommand(found, program, io);
  const command = found.command;
  const flags = await commandFlags(command, found, program, env, io);
  if (flags === undefined) return 0;

  const traceId = flags.changed('trace') ? crypto.randomUUID() : undefined;
  let client: Client | undefined;
  let config: ConfigFile | undefined;
  const configDirectory = globals.changed('config') ? globals.string('config') : undefined;
  const context: CommandContext = {
    program, commandPath: found.path, env, io, flags, args: flags.args, debug: globals.bool('debug'), traceId,
    client: () => (client ??= openClient(globals, options, env, traceId)),
    config: () => (config ??= readConfigFile(configDirectory, env)),
    configDirectory,
    contextName: () => chooseContext(globals, env),
    defaultHost: () => defaultDaemonHost(globals, env).host,
  };
  try {
    const runCommand = await command.load();
    return await runCommand(context);
  } finally {
    client?.close();
  }
}

async function commandFlags(command: Command, found: Found, program: string, env: NodeJS.ProcessEnv, io: Io): Promise<ParsedFlags | undefined> {
  const known = program === 'docker' ? command.flags().filter((flag) => flag.naru !== true) : command.flags();
  let flags: ParsedFlags;
  try {
    flags = parseFlags(found.rest, known, { interspersed: command.flagsFirst !== true, env, warn: (message) => io.out(`${message}\n`) });
  } catch (error) {
    const { usageLine } = await import('./help.ts');
    throw usageError(error, { usage: usageLine(command, program, found.path), path: `${program} ${found.path}`, hint: await flagHint(error, known) });
  }
  if (flags.help) {
    io.out((await import('./help.ts')).commandHelp(command, program, found.path));
    return undefined;
  }
  // `run --rootfs DIR` needs no image: every word is the command's.
  const least = flags.changed('rootfs') ? 0 : command.args[0];
  if (flags.args.length < least || flags.args.length > command.args[1]) throw await argumentError(command, found.path, program);
  return flags;
}

async function argumentError(command: Command, path: string, program: string): Promise<NaruError> {
  const { usageLine } = await import('./help.ts');
  const [least, most] = command.args;
  const plural = (n: number): string => (n === 1 ? 'argument' : 'arguments');
  const wants = most === 0 ? 'accepts no arguments'
    : most === Number.POSITIVE_INFINITY ? `requires at least ${least} ${plural(least)}`
      : least === most ? `requires ${least} ${plural(least)}`
        : least === 0 ? `requires at most ${most} ${plural(most)}`
          : `requires at least ${least} and at most ${most} ${plural(most)}`;
  const see = most === Number.POSITIVE_INFINITY ? 'See' : 'Run';
  return new NaruError('invalid', `${program}: '${program} ${path}' ${wants}\n\nUsage:  ${usageLine(command, program, path)}\n\n${see} '${program} ${path} --help' for more information`);
}

async function unknownCommand(found: Found, program: string, io: Io): Promise<number> {
  const { hintForCommand } = await import('./suggest.ts');
  if (found.group === undefined) {
    const hint = hintForCommand(found.path, undefined);
    throw new NaruError('invalid', `${program}: unknown command: ${program} ${found.path}\n\nRun '${program} --help' for more information`, hint === undefined ? {} : { hint });
  }
  const { groupHelp } = await import('./help.ts');
  const word = found.rest[0];
  const path = `${program} ${found.group.name}`;
  if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    (word === undefined ? io.err : io.out)(groupHelp(found.group, program));
    return 0;
  }
  if (word.startsWith('-')) {
    const what = word.startsWith('--') ? `unknown flag: ${word}` : `unknown shorthand flag: '${word[1]}' in ${word}`;
    throw new NaruError('invalid', `${what}\n\nUsage:  ${path}\n\nRun '${path} --help' for more information`, { exitCode: USAGE_FAILURE });
  }
  const hint = hintForCommand(word, found.group.name);
  throw new NaruError('invalid', `${program}: unknown command: ${path} ${word}\n\nUsage:  ${path}\n\nRun '${path} --help' for more information`, hint === undefined ? {} : { hint });
}

async function help(topic: readonly string[], program: string, io: Io): Promise<number> {
  const { commandHelp, frontHelp, groupHelp } = await import('./help.ts');
  const found = await findCommand(topic, program);
  if (topic.length === 0) io.out(frontHelp(program));
  else if (found.command !== undefined && found.rest.length === 0) io.out(commandHelp(found.command, program, found.path));
  else if (found.group !== undefined && found.rest.length === 0) io.out(groupHelp(found.group, program));
  else throw new NaruError('invalid', `unknown help topic: ${topic.join(' ')}`, program !== 'docker' && OTHER_LINKS.some(({ name }) => name === topic[0]) ? { hint: `${program} ${topic[0]} --help` } : {});
  return 0;
}

function openClient(globals: ParsedFlags, options: RunOptions, env: NodeJS.ProcessEnv, traceId: string | undefined): Client {
  const { host, isDefault, tls } = chooseDaemonHost(globals, env);
  const pinned = env['DOCKER_API_VERSION'];
  return createClient({
    host,
    ...(tls === undefined ? {} : { tls }),
    ...(pinned === undefined || pinned === '' ? {} : { apiVersion: pinned.replace(/^v/, '') }),
    // How long we took to our first request: what an image that shows the way it came by cannot know otherwise.
    headers: { ...(traceId === undefined ? {} : { 'Naru-Trace': traceId }), 'Naru-Elapsed': performance.now().toFixed(3) },
    ...(isDefault ? {
      onUnreachable: async () => {
        await (await import('./ensure-daemon.ts')).ensureDaemon(host.slice('unix://'.length), options.daemonCommand);
        return true;
      },
    } : {}),
  });
}

function usageError(error: unknown, { usage, path, hint }: { usage: string; path: string; hint: string | undefined }): unknown {
  if (!(error instanceof NaruError)) return error;
  return new NaruError(error.kind, `${error.message}\n\nUsage:  ${usage}\n\nRun '${path} --help' for more information`, { exitCode: USAGE_FAILURE, cause: error, ...(hint === undefined ? {} : { hint }) });
}

const flagHint = async (error: unknown, flags: readonly Flag[]): Promise<string | undefined> =>
  error instanceof NaruError ? (await import('./suggest.ts')).hintForFlag(error, flags) : undefined;

function report(error: unknown, program: string, io: Io, argv: readonly string[]): void {
  const message = error instanceof Error ? error.message : String(error);
  if (message === '') return;
  let text = `${message}\n`;
  if (error instanceof NaruError && error.hint !== undefined && program !== 'docker') text += `hint: ${error.hint}\n`;
  if (!(error instanceof NaruError) && (argv.includes('-D') || argv.includes('--debug')) && error instanceof Error) text += `${error.stack}\n`;
  try {
    io.err(text);
  } catch {
    // Nobody is there to hear it.
  }
}
