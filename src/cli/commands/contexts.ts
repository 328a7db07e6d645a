import { readFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { changeConfigFile, configDirectoryOf } from '../config-file.ts';
import { contextPaths, DEFAULT_CONTEXT, listContexts, readContext, readTls, removeContext, writeContext, type StoredContext, type TlsFile, type TlsMaterial } from '../contexts/context-store.ts';
import { hostOfEnvironment } from '../daemon-host.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { renderTable } from '../format/table.ts';
import { failTogether } from '../many.ts';
import { inspectEach } from './inspect.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;
const HEADERS = { Name: 'NAME', Description: 'DESCRIPTION', DockerEndpoint: 'DOCKER ENDPOINT', Error: 'ERROR', Current: '' };
/** Letters of a fault that a table shows. */
const ERROR_LENGTH = 45;

const directoryOf = ({ configDirectory, env }: CommandContext): string => configDirectoryOf(configDirectory, env);

/** What the environment and the flags say, as a context. */
function defaultContext(context: CommandContext): StoredContext {
  return { Name: DEFAULT_CONTEXT, Metadata: { Description: 'Current DOCKER_HOST based configuration' }, Endpoints: { docker: { Host: context.defaultHost(), SkipTLSVerify: false } } };
}

const find = (context: CommandContext, name: string): StoredContext => (name === DEFAULT_CONTEXT ? defaultContext(context) : readContext(directoryOf(context), name));

/** `context ls`. */
export const listAllContexts: CommandRunner = async (context) => {
  const { flags, io, env } = context;
  const current = context.contextName();
  const known = [defaultContext(context), ...listContexts(directoryOf(context))];
  const row = ({ Name, Metadata, Endpoints }: StoredContext, error = ''): Record<string, unknown> =>
    ({ Current: Name === current, Description: Metadata.Description ?? '', DockerEndpoint: Endpoints.docker?.Host ?? '', Error: error, Name });
  const rows = known.map((each) => row(each));
  if (!known.some(({ Name }) => Name === current)) {
    try {
      find(context, current);
    } catch (error) {
      const { message } = error as Error;
      rows.push(row({ Name: current, Metadata: {}, Endpoints: {} }, message.length > ERROR_LENGTH ? `${message.slice(0, ERROR_LENGTH - 1)}…` : message));
    }
  }
  rows.sort((a, b) => naturalOrder(a['Name'] as string, b['Name'] as string));
  const asked = flags.string('format');
  const format = flags.bool('quiet') ? '{{.Name}}' : asked === '' || asked === 'table' ? 'table {{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}' : asked;
  io.out(renderTable(rows, { format, headers: HEADERS, goType: '*formatter.clientContextContext' }));
  const named = hostOfEnvironment(env);
  if (named !== undefined) io.err(overridden(named, 'a context'));
  return 0;
};

const overridden = (variable: string, name: string): string =>
  `Warning: ${variable} environment variable overrides the active context. To use ${name}, either set the global --context flag, or unset ${variable} environment variable.\n`;

/** `context show`. */
export const showContext: CommandRunner = async (context) => {
  context.io.out(`${context.contextName()}\n`);
  return 0;
};

/** `context use`. */
export const useContext: CommandRunner = async (context) => {
  const name = context.args[0]!;
  find(context, name);
  choose(context, name);
  context.io.out(`${name}\n`);
  context.io.err(`Current context is now ${JSON.stringify(name)}\n`);
  const named = hostOfEnvironment(context.env);
  if (name !== DEFAULT_CONTEXT && named !== undefined) context.io.err(overridden(named, JSON.stringify(name)));
  return 0;
};

function choose({ configDirectory, env }: CommandContext, name: string): void {
  changeConfigFile(configDirectory, env, (config) => {
    if (name === DEFAULT_CONTEXT) delete config.currentContext;
    else config.currentContext = name;
  });
}

/** `context create`. */
export const createContext: CommandRunner = async (context) => {
  const { args, flags, io } = context;
  const name = args[0]!;
  const directory = directoryOf(context);
  if (name === '') throw new NaruError('invalid', 'context name cannot be empty');
  if (name === DEFAULT_CONTEXT) throw new NaruError('invalid', `${JSON.stringify(name)} is a reserved context name`);
  if (!NAME.test(name)) throw new NaruError('invalid', `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "${NAME.source}"`);
  if (listContexts(directory).some(({ Name }) => Name === name)) throw new NaruError('conflict', `context ${JSON.stringify(name)} already exists`);
  const options = flags.changed('docker') ? flags.map('docker') : { from: flags.string('from') || DEFAULT_CONTEXT };
  const { endpoint, tls, description } = endpointOf(context, options);
  const described = flags.changed('description') ? flags.string('description') : flags.changed('docker') ? '' : description;
  writeContext(directory, { Name: name, Metadata: described === '' ? {} : { Description: described }, Endpoints: { docker: endpoint } }, tls);
  io.out(`${name}\n`);
  io.err(`Successfully created context ${JSON.stringify(name)}\n`);
  return 0;
};

/** `context update`. */
export const updateContext: CommandRunner = async (context) => {
  const { args, flags, io } = context;
  const name = args[0]!;
  const directory = directoryOf(context);
  if (name === DEFAULT_CONTEXT) throw new NaruError('invalid', `${JSON.stringify(name)} is a reserved context name`);
  const stored = readContext(directory, name);
  if (flags.changed('description')) stored.Metadata.Description = flags.string('description');
  const given = flags.changed('docker') ? endpointOf(context, flags.map('docker')) : undefined;
  if (given !== undefined) stored.Endpoints = { ...stored.Endpoints, docker: given.endpoint };
  writeContext(directory, stored, given?.tls);
  io.out(`${name}\n`);
  io.err(`Successfully updated context ${JSON.stringify(name)}\n`);
  return 0;
};

interface Endpoint { readonly endpoint: NonNullable<StoredContext['Endpoints']['docker']>; readonly tls: TlsMaterial; readonly description: string }

const KEYS: Readonly<Record<string, TlsFile | ''>> = { from: '', host: '', 'skip-tls-verify': '', ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem' };

/** What `--docker key=value,…` describes. */
function endpointOf(context: CommandContext, options: Readonly<Record<string, string>>): Endpoint {
  const fail = (why: string, cause?: unknown): NaruError => new NaruError('invalid', `unable to create docker endpoint config: ${why}`, { cause });
  for (const key in options) if (!Object.hasOwn(KEYS, key)) throw fail(`unrecognized config key: ${key}`);
  const from = options['from'];
  if (from !== undefined) {
    const source = find(context, from);
    return { endpoint: { ...source.Endpoints.docker, SkipTLSVerify: source.Endpoints.docker?.SkipTLSVerify ?? false }, tls: from === DEFAULT_CONTEXT ? new Map() : readTls(directoryOf(context), from), description: source.Metadata.Description ?? '' };
  }
  const tls = new Map<TlsFile, Uint8Array>();
  for (const [key, file] of Object.entries(KEYS)) {
    const path = options[key];
    if (file === '' || path === undefined || path === '') continue;
    try {
      tls.set(file, readFileSync(path));
    } catch (cause) {
      throw fail(`open ${path}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : (cause as Error).message}`, cause);
    }
  }
  for (const [file, data] of tls) {
    if (!Buffer.from(data).includes('-----BEGIN ')) throw fail(`invalid docker endpoint options: failed to retrieve context tls info: ${file} seems invalid`);
  }
  const skip = options['skip-tls-verify'] ?? 'false';
  if (!/^(1|0|t|f|true|false)$/i.test(skip)) throw fail(`strconv.ParseBool: parsing ${JSON.stringify(skip)}: invalid syntax`);
  const host = options['host'] ?? '';
  return { endpoint: { ...(host === '' ? {} : { Host: host }), SkipTLSVerify: /^(1|t|true)$/i.test(skip) }, tls, description: '' };
}

/** `context rm`. */
export const removeContexts: CommandRunner = async (context) => {
  const { args, flags, io, config } = context;
  const directory = directoryOf(context);
  const errors: unknown[] = [];
  for (const name of args) {
    const inUse = (config().currentContext ?? DEFAULT_CONTEXT) === name || context.contextName() === name;
    if (name === DEFAULT_CONTEXT) errors.push(new NaruError('invalid', `context ${JSON.stringify(name)} cannot be removed`));
    else if (inUse && !flags.bool('force')) errors.push(new NaruError('conflict', `context ${JSON.stringify(name)} is in use, set -f flag to force remove`));
    else if (!flags.bool('force') && !listContexts(directory).some(({ Name }) => Name === name)) errors.push(new NaruError('not-found', `context ${JSON.stringify(name)} does not exist`));
    else {
      if ((config().currentContext ?? '') === name) choose(context, DEFAULT_CONTEXT);
      removeContext(directory, name);
      io.out(`${name}\n`);
    }
  }
  failTogether(errors);
  return 0;
};

/** `context inspect`. */
export const inspectContexts: CommandRunner = async (context) => {
  const directory = directoryOf(context);
  const args = context.args.length === 0 ? [context.contextName()] : context.args;
  return inspectEach({ ...context, args }, async (name) => {
    const { Name, Metadata, Endpoints } = find(context, name);
    const inMemory = name === DEFAULT_CONTEXT;
    const paths = contextPaths(directory, name);
    const tls = inMemory ? [] : [...readTls(directory, name).keys()];
    const shown = {
      Name, Metadata: inMemory ? {} : Metadata, Endpoints, TLSMaterial: tls.length === 0 ? {} : { docker: tls },
      Storage: inMemory ? { MetadataPath: '<IN MEMORY>', TLSPath: '<IN MEMORY>' } : { MetadataPath: paths.meta, TLSPath: paths.tls },
    };
    return JSON.stringify(shown).replace(/[<>&]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`);
  });
};
