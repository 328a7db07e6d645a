import { realpathSync } from 'node:fs';
import { posix } from 'node:path';
import type { PathStat } from '#spec/engine-api.ts';
import { isKind, NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { humanSize } from '../format/human-size.ts';
import { packTree } from '../tar/pack-tree.ts';
import { extractTree } from '../tar/extract-tree.ts';
import { absolutePath, arrange, checkOutputPath, keepTrailing, localDestination, localSource, splitEntry, type CopyEnd } from './copy-paths.ts';

// Go's file mode bits, as the API reports them.
const GO_DIRECTORY = 0x80000000;
const GO_SYMLINK = 0x8000000;
const GO_DEVICE = 0x4000000;
const has = (stat: PathStat, bit: number): boolean => Math.floor(stat.mode / bit) % 2 === 1;

/** `cp`: to a container or from one, a path or (`-`) a tar stream. */
export const copy: CommandRunner = async (context) => {
  const [source = '', destination = ''] = context.args;
  if (source === '') throw new NaruError('invalid', 'source can not be empty');
  if (destination === '') throw new NaruError('invalid', 'destination can not be empty');
  const from = splitContainer(source);
  const to = splitContainer(destination);
  if (from.container !== undefined && to.container !== undefined) throw new NaruError('unsupported', 'copying between containers is not supported');
  const quiet = context.flags.changed('quiet') ? context.flags.bool('quiet') : !context.io.isTerminal(1);
  if (from.container !== undefined) await copyFrom(context, from.container, from.path, to.path, quiet);
  else if (to.container !== undefined) await copyTo(context, to.container, from.path, to.path, quiet);
  else throw new NaruError('invalid', 'must specify at least one container source');
  return 0;
};

/** `name:path`; a local path with a colon begins with `/` or `.`. */
function splitContainer(text: string): { container: string | undefined; path: string } {
  const colon = text.indexOf(':');
  if (text.startsWith('/') || text.startsWith('.') || colon < 0) return { container: undefined, path: text };
  return { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

async function copyFrom(context: CommandContext, container: string, source: string, destination: string, quiet: boolean): Promise<void> {
  const { containers } = context.client();
  const { io } = context;
  const target = destination === '-' ? '-' : absolutePath(destination);
  if (target !== '-') checkOutputPath(target);
  let path = source;
  let rebaseName = '';
  if (context.flags.bool('follow-link')) {
    const stat = await containers.statPath(container, path).catch(unlessAway);
    if (stat !== undefined && has(stat, GO_SYMLINK)) {
      const name = splitEntry(path)[1];
      path = keepTrailing(linkTarget(path, stat.linkTarget), path);
      if (splitEntry(path)[1] !== name) rebaseName = name;
    }
  }
  const { stat, archive } = await containers.getArchive(container, path);
  if (target === '-') {
    for await (const chunk of archive) await io.write(1, chunk);
    return;
  }
  const end: CopyEnd = { path, exists: true, isDirectory: has(stat, GO_DIRECTORY), rebaseName };
  const { directory, rebase } = arrange(end, localDestination(target));
  // The archive's own first name is that of the path that was asked for; of `dir/.` it is the directory's.
  const archiveName = splitEntry(path)[1];
  const renamed = rebase !== undefined ? ([archiveName, rebase[1]] as const) : rebaseName === '' ? undefined : ([archiveName, rebaseName] as const);
  const counted = counter(archive);
  await extractTree(counted.bytes, directory, { rebase: renamed, skipped: (name) => io.err(`WARNING: ${name} is a device or a pipe: not copied\n`) });
  if (!quiet) io.err(`Successfully copied ${humanSize(counted.total(), 3)} to ${target}\n`);
}

async function copyTo(context: CommandContext, container: string, source: string, destination: string, quiet: boolean): Promise<void> {
  const { containers } = context.client();
  const { io, flags } = context;
  const options = { noOverwriteDirNonDir: true, copyUidGid: flags.bool('archive') };
  const local = source === '-' ? undefined : localSource(absolutePath(source), flags.bool('follow-link'));
  let end: CopyEnd = { path: destination, exists: false, isDirectory: false, rebaseName: '' };
  let stat = await containers.statPath(container, destination).catch(unlessAway);
  if (stat !== undefined && has(stat, GO_SYMLINK)) {
    end = { ...end, path: linkTarget(destination, stat.linkTarget) };
    stat = await containers.statPath(container, end.path).catch(unlessAway);
  }
  if (stat !== undefined && has(stat, GO_DEVICE)) throw new NaruError('invalid', `destination "${container}:${destination}" must be a directory or a regular file: got a device`);
  if (stat !== undefined) end = { ...end, exists: true, isDirectory: has(stat, GO_DIRECTORY) };
  if (local === undefined) {
    if (!end.isDirectory) throw new NaruError('invalid', `destination "${container}:${destination}" must be a directory`);
    await containers.putArchive(container, end.path, io.input(), options);
    return;
  }
  const { directory, rebase } = arrange(local, end);
  const [parent, base] = splitEntry(local.path);
  const entry = base === '.' ? parent : base === '/' ? '/' : posix.join(parent, base);
  // A trailing slash means the directory behind a symbolic link.
  const path = local.path.endsWith('/') ? realpathSync(entry) : entry;
  const name = rebase === undefined ? (local.rebaseName === '' ? base : local.rebaseName) : rebase[1];
  const counted = counter(packTree(path, name === '/' ? '.' : name));
  await containers.putArchive(container, directory, counted.bytes, options);
  if (!quiet) io.err(`Successfully copied ${humanSize(counted.total(), 3)} to ${container}:${end.path}\n`);
}

/** A path that cannot be looked at may still be copied to: the copy itself will say. */
const unlessAway = (error: unknown): undefined => {
  if (isKind(error, 'unavailable')) throw error;
  return undefined;
};

const linkTarget = (path: string, target: string): string => (target.startsWith('/') ? target : posix.join(splitEntry(path)[0], target));

function counter(source: AsyncIterable<Uint8Array>): { bytes: AsyncGenerator<Uint8Array, void>; total(): number } {
  let total = 0;
  async function* count(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of source) {
      total += chunk.length;
      yield chunk;
    }
  }
  return { bytes: count(), total: () => total };
}
