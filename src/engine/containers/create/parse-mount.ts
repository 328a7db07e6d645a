import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { Mount } from '#spec/engine-api.ts';
import type { MountRecord } from '../container.ts';
import { checkDestination, checkVolumeName } from './parse-bind.ts';
import { tmpfsOptions } from './tmpfs-options.ts';

const within = (mount: Mount): string => `invalid mount config for type "${mount.Type}": `;
const bad = (mount: Mount, why: string): NaruError => new NaruError('invalid', within(mount) + why);

/** One `--mount`. A volume's host path and an anonymous one's name are filled in by the caller. Throws invalid in Docker's words. */
export function parseMount(mount: Mount): MountRecord {
  if (!mount.Target) throw bad(mount, 'field Target must not be empty');
  const flag = `--mount type=${mount.Type}${mount.Source ? `,source=${mount.Source}` : ''},target=${mount.Target}${mount.ReadOnly ? ',readonly' : ''}`;
  const destination = checkDestination(mount.Target, within(mount));
  const base = { destination, mode: '', rw: mount.ReadOnly !== true, flag };
  switch (mount.Type) {
    case 'bind':
      return parseBindMount(mount, base);
    case 'volume': {
      if (mount.BindOptions) throw bad(mount, 'field BindOptions must not be specified');
      const options = mount.VolumeOptions ?? {};
      const driver = options.DriverConfig?.Name || 'local';
      if (mount.Source) checkVolumeName(mount.Source);
      const subpath = checkSubpath(mount, options.Subpath);
      if (subpath !== undefined && !mount.Source) throw bad(mount, 'must not set Subpath when using anonymous volumes');
      return {
        ...base, type: 'volume', name: mount.Source ?? '', source: '', driver, mode: mount.ReadOnly === true ? '' : 'z', propagation: '',
        ...(mount.Source ? {} : { anonymous: true }), ...(options.NoCopy === true ? { noCopy: true } : {}), ...(subpath === undefined ? {} : { subpath }),
      };
    }
    case 'tmpfs':
      return parseTmpfsMount(mount, base);
    case 'image': {
      if (!mount.Source) throw bad(mount, 'field Source must not be empty');
      const subpath = checkSubpath(mount, mount.ImageOptions?.Subpath);
      return { ...base, type: 'image', source: mount.Source, rw: false, propagation: '', ...(subpath === undefined ? {} : { subpath }) };
    }
    case 'npipe':
      throw new NaruError('invalid', 'invalid mount type: npipe is for Windows');
    case 'cluster':
      throw new NaruError('unsupported', 'cluster volumes need a swarm, which this engine has not');
    default:
      throw bad(mount, 'mount type unknown');
  }
}

type Base = Pick<MountRecord, 'destination' | 'mode' | 'rw' | 'flag'>;

function parseBindMount(mount: Mount, base: Base): MountRecord {
  if (!mount.Source) throw bad(mount, 'field Source must not be empty');
  if (!mount.Source.startsWith('/')) throw bad(mount, `invalid mount path: '${mount.Source}' mount path must be absolute`);
  if (mount.VolumeOptions) throw bad(mount, 'field VolumeOptions must not be specified');
  const options = mount.BindOptions ?? {};
  const propagation = options.Propagation || 'rprivate';
  if (!['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'].includes(propagation)) throw bad(mount, `invalid propagation mode: ${propagation}`);
  if (options.ReadOnlyNonRecursive && mount.ReadOnly !== true) throw bad(mount, 'mount must be read-only to set ReadOnlyNonRecursive');
  if (options.ReadOnlyForceRecursive) {
    if (mount.ReadOnly !== true) throw bad(mount, 'mount must be read-only to set ReadOnlyForceRecursive');
    if (propagation !== 'rprivate') throw bad(mount, "mount must be 'rprivate' to set ReadOnlyForceRecursive");
    if (options.ReadOnlyNonRecursive) throw bad(mount, 'ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other');
  }
  if (options.CreateMountpoint !== true && !existsSync(mount.Source)) throw bad(mount, `bind source path does not exist: ${mount.Source}`);
  return {
    ...base, type: 'bind', source: posix.normalize(mount.Source).replace(/(.)\/$/, '$1'), propagation,
    ...(options.CreateMountpoint === true ? { makeSource: true } : {}), ...(options.NonRecursive === true ? { nonRecursive: true } : {}),
    ...(options.ReadOnlyNonRecursive === true ? { readOnlyNonRecursive: true } : {}),
    ...(options.ReadOnlyForceRecursive === true ? { readOnlyForceRecursive: true } : {}),
  };
}

function parseTmpfsMount(mount: Mount, base: Base): MountRecord {
  if (mount.Source) throw bad(mount, 'field Source must not be specified');
  const { SizeBytes = 0, Mode = 0, Options = [] } = mount.TmpfsOptions ?? {};
  if (SizeBytes < 0 || Mode < 0 || Mode > 0o7777) throw bad(mount, 'invalid tmpfs options');
  const words = [
    ...(Mode === 0 ? [] : [`mode=${Mode.toString(8)}`]), ...(SizeBytes === 0 ? [] : [`size=${SizeBytes}`]), ...Options.map((pair) => pair.join('=')),
    ...(mount.ReadOnly === true ? ['ro'] : []),
  ];
  return { ...base, type: 'tmpfs', source: '', propagation: '', options: tmpfsOptions(words.join(',')) };
}

/** A relative path that stays inside; its links are resolved when it is mounted. */
function checkSubpath(mount: Mount, subpath: string | undefined): string | undefined {
  if (subpath === undefined || subpath === '') return undefined;
  if (subpath.startsWith('/') || subpath.includes('\0')) throw bad(mount, 'subpath must be a relative path within the volume');
  const clean = posix.normalize(subpath);
  if (clean === '..' || clean.startsWith('../')) throw bad(mount, 'subpath must be a relative path within the volume');
  return clean;
}
