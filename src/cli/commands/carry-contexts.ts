import { createReadStream, existsSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { configDirectoryOf } from '../config-file.ts';
import { DEFAULT_CONTEXT, listContexts, parseContext, readContext, readTls, TLS_FILES, writeContext, type StoredContext, type TlsFile } from '../contexts/context-store.ts';
import { readTar } from '../tar/read-tar.ts';
import { BLOCK, encodeHeader, padded, type TarHeader } from '../tar/tar-header.ts';

/** Certificates are small: what is larger is no context. */
const MAX_FILE = 1 << 20;

const entry = (path: string, type: TarHeader['type'], mode: number, data: Uint8Array = new Uint8Array()): Uint8Array[] =>
  [encodeHeader({ path, type, mode, uid: 0, gid: 0, size: data.length, mtime: 0, link: '', deviceMajor: 0, deviceMinor: 0 }), data, new Uint8Array(padded(data.length) - data.length)];

/** `context export`: a tar archive of `meta.json` and `tls/docker/*.pem`, with the private key. */
export const exportContext: CommandRunner = async ({ args, io, configDirectory, env }) => {
  const [name, target = `${args[0]}.dockercontext`] = args as [string, string?];
  const directory = configDirectoryOf(configDirectory, env);
  if (name === DEFAULT_CONTEXT) throw new NaruError('invalid', `context ${JSON.stringify(name)} cannot be exported`);
  const context = readContext(directory, name);
  const tls = readTls(directory, name);
  const archive = Buffer.concat([
    ...entry('meta.json', 'file', 0o644, Buffer.from(JSON.stringify(context))), ...entry('tls/', 'directory', 0o700), ...(tls.size === 0 ? [] : entry('tls/docker/', 'directory', 0o700)),
    ...[...tls].flatMap(([file, data]) => entry(`tls/docker/${file}`, 'file', 0o600, data)), new Uint8Array(2 * BLOCK),
  ]);
  if (target === '-') {
    await io.write(1, archive);
    return 0;
  }
  if (existsSync(target)) throw new NaruError('conflict', `open ${target}: file exists`);
  writeFileSync(target, archive, { mode: 0o600 });
  io.err(`Written file ${JSON.stringify(target)}\n`);
  return 0;
};

/** Docker's own archives end where the last file does: without what fills its block, and without the end of an archive. */
async function* ended(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* archive;
  yield new Uint8Array(3 * BLOCK);
}

/** `context import`. */
export const importContext: CommandRunner = async ({ args, io, configDirectory, env }) => {
  const [name, source] = args as [string, string];
  const directory = configDirectoryOf(configDirectory, env);
  if (name === DEFAULT_CONTEXT) throw new NaruError('invalid', `${JSON.stringify(name)} is a reserved context name`);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/.test(name)) throw new NaruError('invalid', `context name ${JSON.stringify(name)} is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"`);
  if (listContexts(directory).some(({ Name }) => Name === name)) throw new NaruError('conflict', `context ${JSON.stringify(name)} already exists`);
  if (source !== '-' && !existsSync(source)) throw new NaruError('not-found', `open ${source}: no such file or directory`);
  let context: StoredContext | undefined;
  const tls = new Map<TlsFile, Uint8Array>();
  for await (const { header, body } of readTar(ended(source === '-' ? io.input() : (createReadStream(source) as AsyncIterable<Uint8Array>)))) {
    if (header.type === 'directory') continue;
    const file = TLS_FILES.find((each) => header.path === `tls/docker/${each}`);
    if (header.type !== 'file' || header.size > MAX_FILE || (header.path !== 'meta.json' && file === undefined)) throw new NaruError('invalid', `${JSON.stringify(header.path)} does not belong into an exported context`);
    const data = Buffer.concat(await Array.fromAsync(body()));
    if (data.includes(0)) throw new NaruError('corrupt', `${JSON.stringify(header.path)} of the exported context is cut short`);
    if (file === undefined) context = parseContext(data.toString(), header.path);
    else tls.set(file, data);
  }
  if (context === undefined) throw new NaruError('invalid', 'invalid context: no metadata found');
  writeContext(directory, { ...context, Name: name }, tls);
  io.out(`${name}\n`);
  io.err(`Successfully imported context ${JSON.stringify(name)}\n`);
  return 0;
};
