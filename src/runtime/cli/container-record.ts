import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { releaseHostTree } from './host-tree.ts';
import { readProcessStat } from './process-stat.ts';
import type { PlanLayout } from './task-plan.ts';

/** What is written down of a container, in `<root>/<id>/state.json`. */
export interface ContainerRecord {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly cgroupPath: string;
  /** The group was there before the container: it is not ours to empty. */
  readonly foreignCgroup: boolean;
  /** The scope that systemd made for it (--systemd-cgroup). */
  readonly systemdUnit?: string;
  readonly rootless: boolean;
  /** No group could be made for it, and none was needed. */
  readonly noCgroup?: boolean;
  /** Made by somebody without rights: his ids, which are all that it has. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Who makes it, while it is being made. */
  readonly creator: { readonly pid: number; readonly startTime: number };
  /** Its first process, once it is created. */
  readonly init?: { readonly pid: number; readonly startTime: number };
  readonly noNewKeyring: boolean;
  readonly layout: PlanLayout;
}

const MAX_ID = 1024;
/** Directories of containers that are being made: `.new-<pid>-…`, for a moment. */
const BEING_MADE = /^\.new-(\d+)-/;
/** After this nobody is still at it, milliseconds. A pid alone does not tell: the creator may live in another pid namespace. */
const ABANDONED_MS = 60_000;

/** As runc has it. A path in an id would lead out of the state directory. */
export function checkContainerId(id: string | undefined): string {
  if (id === undefined || id === '') throw new NaruError('invalid', 'container id cannot be empty');
  if (id.length > MAX_ID || id === '.' || id === '..' || !/^[\w+.-]+$/.test(id)) throw new NaruError('invalid', `invalid container ID format: ${JSON.stringify(id)}`);
  return id;
}

/** The files of one container. */
export interface ContainerDirectory {
  readonly path: string;
  readonly record: string;
  readonly config: string;
  /** The pid of its first process, written by the helper as soon as there is one. */
  readonly pid: string;
  /** Where `start` finds a created container; gone once it was started. */
  readonly startSocket: string;
}

export const containerDirectory = (root: string, id: string): ContainerDirectory => {
  const path = join(root, id);
  return { path, record: join(path, 'state.json'), config: join(path, 'config.json'), pid: join(path, 'pid'), startSocket: join(path, 'start.sock') };
};

/**
 * Takes the id: afterwards the directory holds a whole record, whoever is killed when. Throws `conflict` when there is such
 * a container.
 */
export function claimContainer(root: string, record: ContainerRecord, config: string): ContainerDirectory {
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const directory = containerDirectory(root, record.id);
  const fresh = mkdtempSync(join(root, `.new-${process.pid}-`));
  try {
    writeFileSync(join(fresh, 'config.json'), config, { mode: 0o600 });
    writeFileSync(join(fresh, 'pid'), '', { mode: 0o644 });
    writeFileSync(join(fresh, 'state.json'), JSON.stringify(record), { mode: 0o600 });
    // One that is not empty is never replaced.
    renameSync(fresh, directory.path);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') throw new NaruError('conflict', `container with id ${JSON.stringify(record.id)} exists`, { cause: error });
    throw error;
  }
  return directory;
}

/** Gives the id back at once; should we be killed before the rest is removed, a later command sweeps it. */
export function discardContainer({ path }: ContainerDirectory): void {
  releaseHostTree(path);
  const aside = join(path, '..', `.new-${process.pid}-${path.slice(path.lastIndexOf('/') + 1)}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    rmSync(path, { recursive: true, force: true });
    return;
  }
  // Once more where nobody finds it any more: a helper without its command line may just have begun there.
  releaseHostTree(aside);
  rmSync(aside, { recursive: true, force: true });
}

export function writeRecord(directory: ContainerDirectory, record: ContainerRecord): void {
  const fresh = `${directory.record}.tmp`;
  writeFileSync(fresh, JSON.stringify(record), { mode: 0o600 });
  renameSync(fresh, directory.record);
}

/** Throws `not-found` in runc's words, which engines look for. */
export function readRecord(root: string, id: string): ContainerRecord {
  const directory = containerDirectory(root, checkContainerId(id));
  try {
    return JSON.parse(readFileSync(directory.record, 'utf8')) as ContainerRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new NaruError('corrupt', `container ${JSON.stringify(id)}: ${directory.record} cannot be read: ${(error as Error).message}`, { cause: error });
    throw new NaruError('not-found', 'container does not exist', { hint: `there is no ${id} in ${root}` });
  }
}

/** The container's config.json as it was when it was created. */
export const readConfig = (root: string, id: string): OciSpec => JSON.parse(readFileSync(containerDirectory(root, id).config, 'utf8')) as OciSpec;

/** Ids of all containers below `root`; none when there is no such directory. */
export const listContainers = (root: string): string[] => namesIn(root).filter((name) => !BEING_MADE.test(name)).sort();

/** Removes what creators left that were killed before they had a container. */
export function sweepAbandoned(root: string): void {
  for (const name of namesIn(root)) {
    const creator = BEING_MADE.exec(name)?.[1];
    if (creator === undefined || readProcessStat(Number(creator)) !== undefined) continue;
    const path = join(root, name);
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) <= ABANDONED_MS) continue;
    releaseHostTree(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function namesIn(root: string): string[] {
  try {
    return readdirSync(root);
  } catch {
    return [];
  }
}
