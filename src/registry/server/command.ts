import { createInterface } from 'node:readline';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { NaruError } from '#spec/errors.ts';
import { isRepositoryName, parseManifestReference, parseRepositoryName } from '#registry/protocol/repository-name.ts';
import { setPassword } from './auth/password-file.ts';
import { clean } from './garbage/janitor.ts';
import { removeManifest } from './metadata/manifests.ts';
import { findRepository, removeRepository, repositoryNames, summarizeRepository } from './metadata/repositories.ts';
import { removeTag, summarizeTags } from './metadata/tags.ts';
import { openRegistryData, type RegistryData } from './open-registry-data.ts';
import { DEFAULT_OPTIONS, type RegistryOptions } from './options.ts';
import { formatBytes } from './page/overview-page.ts';
import { parseSize, parseTime } from './parse-units.ts';
import { readConfig } from './read-config.ts';
import { serveRegistry } from './serve-registry.ts';

const USAGE = `Usage: naru registry COMMAND

  serve                     Run a registry (127.0.0.1:5000, data in ${DEFAULT_OPTIONS.data})
  gc [--dry-run] [--check]  Apply retention and remove what nothing refers to
  ls [REPOSITORY]           List repositories, or the tags of one
  rm REPOSITORY[:TAG|@DIGEST]
                            Remove a repository, a tag, or a manifest
  user add FILE NAME        Add a user to a password file, or change the password (read from standard input)

Options of all but user:
  --config FILE             YAML or JSON; flags come after it
  --data DIR                Where everything is kept

Options of serve:
  --host ADDRESS  --port N  Where to listen
  --allow-host NAME         A name that it is called by, for one that listens on loopback behind a proxy; may be repeated
  --tls-cert FILE --tls-key FILE [--tls-client-ca FILE]
  --htpasswd FILE           Users and bcrypt hashes
  --anonymous-pull PATTERN  Repositories that anybody may pull (* within a component, ** anything); may be repeated
  --upstream URL            Be a pull-through cache
  --quota SIZE              Bytes that each repository may hold
  --grace TIME              How long an unreferenced blob stays (1h)
  --gc-interval TIME        How often to collect (10m)
  --untagged TIME           Remove untagged manifests after this time
  --access-log WHERE        - (standard output), off, or a file
  --no-sparse               Refuse manifests whose parts are not all here
`;

const TEXT = { type: 'string' } as const;
const FLAGS = {
  config: TEXT, data: TEXT, host: TEXT, port: TEXT, 'allow-host': { type: 'string', multiple: true }, 'tls-cert': TEXT, 'tls-key': TEXT, 'tls-client-ca': TEXT, htpasswd: TEXT,
  'anonymous-pull': { type: 'string', multiple: true }, upstream: TEXT, quota: TEXT, grace: TEXT, 'gc-interval': TEXT, untagged: TEXT, 'access-log': TEXT,
  'no-sparse': { type: 'boolean' }, 'dry-run': { type: 'boolean' }, check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];
type Values = ReturnType<typeof parseArgs<{ options: typeof FLAGS; allowPositionals: true }>>['values'];

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

/** `naru registry …`. Resolves to the exit status: 0, 1 for a failure, 125 for a wrong command line. */
export async function runRegistry(args: string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({ args, options: FLAGS, allowPositionals: true });
    const [verb, ...rest] = positionals;
    if (values.help === true || verb === undefined) return print(USAGE), verb === undefined && values.help !== true ? 125 : 0;
    if (verb === 'user') return await addUser(rest);
    const options = optionsFrom(values);
    if (verb === 'serve' && rest.length === 0) return await serve(options);
    const run = verb === 'gc' && rest.length === 0 ? collect : verb === 'ls' && rest.length <= 1 ? list : verb === 'rm' && rest.length === 1 ? remove : undefined;
    if (run === undefined) return complain(`naru registry: unknown command: ${positionals.join(' ').slice(0, 100)}\n\n${USAGE}`), 125;
    const data = openRegistryData(options);
    try {
      return await run(data, { rest, options, values });
    } finally {
      data.metadata.close();
    }
  } catch (error) {
    complain(`naru registry: ${(error as Error).message}`);
    if (error instanceof NaruError && error.hint !== undefined) complain(`  ${error.hint}`);
    return (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true ? 125 : 1;
  }
}

/** The file's settings, and the flags over them. */
function optionsFrom(values: Values): RegistryOptions {
  const options = values.config === undefined ? { ...DEFAULT_OPTIONS } : readConfig(values.config);
  const garbage = { ...options.garbage };
  if (values.grace !== undefined) garbage.grace = parseTime(values.grace);
  if (values['gc-interval'] !== undefined) garbage.interval = parseTime(values['gc-interval']);
  const port = values.port === undefined ? options.port : Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new NaruError('invalid', `${values.port} is no port`);
  const [certificate, key, clientCa] = [values['tls-cert'], values['tls-key'], values['tls-client-ca']];
  if ((certificate === undefined) !== (key === undefined)) throw new NaruError('invalid', '--tls-cert and --tls-key go together');
  return {
    ...options, garbage, port, data: values.data ?? options.data, host: values.host ?? options.host, allowedHosts: values['allow-host'] ?? options.allowedHosts, accessLog: values['access-log'] ?? options.accessLog,
    sparse: values['no-sparse'] === true ? false : options.sparse, anonymousPull: values['anonymous-pull'] ?? options.anonymousPull,
    tls: certificate === undefined || key === undefined ? options.tls : { certificate, key, ...(clientCa === undefined ? {} : { clientCa }) },
    htpasswd: values.htpasswd === undefined ? options.htpasswd : { path: values.htpasswd, realm: 'naru registry' },
    upstream: values.upstream === undefined ? options.upstream : { ...(options.upstream ?? { fresh: 60_000 }), url: values.upstream },
    quotas: values.quota === undefined ? options.quotas : [...options.quotas, { repositories: '**', bytes: parseSize(values.quota) }],
    retention: values.untagged === undefined ? options.retention : { ...options.retention, untagged: parseTime(values.untagged) },
  };
}

async function serve(options: RegistryOptions): Promise<number> {
  const server = await serveRegistry(options, complain);
  complain(`naru registry: serving ${options.data} at ${server.url}`);
  if (!['127.0.0.1', '::1', 'localhost'].includes(options.host) && options.htpasswd === undefined && options.token === undefined) {
    complain('naru registry: anybody who reaches this address may pull, push and delete: see --htpasswd');
  }
  process.on('SIGHUP', () => { try { server.renew(); } catch (error) { complain((error as Error).message); } });
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  await server[Symbol.asyncDispose]();
  return 0;
}

interface Asked { rest: string[]; options: RegistryOptions; values: Values }

async function collect(data: RegistryData, { options, values }: Asked): Promise<number> {
  const report = await clean(data, {
    grace: options.garbage.grace, retention: options.retention, dryRun: values['dry-run'] === true, checkStorage: values.check === true,
  });
  if (report === undefined) return complain('naru registry: a collection is under way already'), 1;
  for (const { repository, name } of report.expired.tags) print(`tag ${repository}:${name}`);
  print(`${values['dry-run'] === true ? 'would remove' : 'removed'} ${report.expired.tags.length} tags, ${report.expired.manifests} manifests, ${report.blobs} blobs (${formatBytes(report.bytes)})${report.strays > 0 ? `, ${report.strays} strays` : ''}`);
  return 0;
}

async function list(data: RegistryData, { rest }: Asked): Promise<number> {
  if (rest[0] === undefined) {
    print(table(['REPOSITORY', 'TAGS', 'MANIFESTS', 'SIZE'], repositoryNames(data.metadata, '', -1).map((name) => {
      const one = summarizeRepository(data.metadata, name);
      return [name, String(one.tags), String(one.manifests), formatBytes(one.bytes)];
    })));
    return 0;
  }
  const repository = findRepository(data.metadata, parseRepositoryName(rest[0]));
  if (repository === undefined) throw new NaruError('not-found', `no such repository: ${rest[0]}`);
  print(table(['TAG', 'DIGEST', 'SIZE', 'MOVED'], summarizeTags(data.metadata, repository, '', -1).map((tag) => [tag.name, tag.digest, formatBytes(tag.bytes), new Date(tag.updated).toISOString()])));
  return 0;
}

async function remove(data: RegistryData, { rest }: Asked): Promise<number> {
  const text = rest[0] as string;
  const match = /^([^@:]+)(?:@(.+)|:(.+))?$/.exec(text);
  if (match === null || !isRepositoryName(match[1] as string)) throw new NaruError('invalid', `${JSON.stringify(text.slice(0, 100))} is no repository, tag or manifest`);
  const name = parseRepositoryName(match[1] as string);
  const reference = match[2] ?? match[3];
  const parsed = reference === undefined ? undefined : parseManifestReference(reference);
  let gone: boolean;
  if (parsed === undefined) gone = removeRepository(data.metadata, name);
  else if (parsed.tag !== undefined) gone = removeTag(data.metadata, name, parsed.tag);
  else {
    const removed = removeManifest(data.metadata, name, parsed.digest);
    if (removed.outcome === 'in-use') throw new NaruError('conflict', `${parsed.digest} is part of index ${removed.manifest}`);
    gone = removed.outcome === 'removed';
  }
  if (!gone) throw new NaruError('not-found', `no such thing in the registry: ${text}`);
  print(text);
  return 0;
}

async function addUser(rest: string[]): Promise<number> {
  const [verb, file, user] = rest;
  if (verb !== 'add' || file === undefined || user === undefined || rest.length !== 3) return complain(USAGE), 125;
  if (process.stdin.isTTY) process.stderr.write('Password: ');
  const reader = createInterface({ input: process.stdin });
  const { value } = (await reader[Symbol.asyncIterator]().next()) as { value?: string };
  reader.close();
  await setPassword(file, user, value ?? '');
  print(user);
  return 0;
}

function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  return [head, ...rows].map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number))).join('   ')).join('\n');
}
