import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { OciLinux } from '#spec/oci-runtime.ts';

type Device = NonNullable<OciLinux['devices']>[number];

/** What of the host's /dev is not handed to privileged containers: their own instances are mounted there. */
const SKIPPED = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console']);
const DEPTH_LIMIT = 8;

/** Linux's encoding of device numbers in `st_rdev`. */
export const splitDevice = (rdev: number): { major: number; minor: number } => ({
  major: (Math.floor(rdev / 256) & 0xfff) + (Math.floor(rdev / 2 ** 32) & ~0xfff),
  minor: (rdev & 0xff) + (Math.floor(rdev / 4096) & 0xffffff00),
});

function toDevice(stat: Stats, path: string): Device | undefined {
  const type = stat.isCharacterDevice() ? 'c' : stat.isBlockDevice() ? 'b' : stat.isFIFO() ? 'p' : undefined;
  if (type === undefined) return undefined;
  return { path, type, ...(type === 'p' ? {} : splitDevice(stat.rdev)), fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

function walk(directory: string, as: string, depth: number): Device[] {
  if (depth > DEPTH_LIMIT) return [];
  const found: Device[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...walk(path, join(as, entry.name), depth + 1));
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) {
      const device = toDevice(lstatSync(path), join(as, entry.name));
      if (device !== undefined) found.push(device);
    }
  }
  return found;
}

/** Every node below the host's /dev. */
export const hostDevices = (): Device[] => walk('/dev', '/dev', 0);

/** A node, or all nodes below a directory. Throws invalid, in Docker's words, when there are none. */
export function devicesAt(pathOnHost: string, pathInContainer: string): Device[] {
  const refuse = (why: string): NaruError => new NaruError('invalid', `error gathering device information while adding custom device ${JSON.stringify(pathOnHost)}: ${why}`);
  const stat = statSync(pathOnHost, { throwIfNoEntry: false });
  if (stat === undefined) throw refuse('no such file or directory');
  if (stat.isDirectory()) {
    const found = walk(pathOnHost, pathInContainer, 0);
    if (found.length === 0) throw refuse('not a device node');
    return found;
  }
  const device = toDevice(stat, pathInContainer);
  if (device === undefined) throw refuse('not a device node');
  return [device];
}

/** Throws invalid when the path is no device. */
export function blockDevice(path: string): { major: number; minor: number } {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new NaruError('invalid', `no such file or directory: ${JSON.stringify(path)}`);
  if (!stat.isBlockDevice() && !stat.isCharacterDevice()) throw new NaruError('invalid', `${path}: not a device`);
  return splitDevice(stat.rdev);
}
