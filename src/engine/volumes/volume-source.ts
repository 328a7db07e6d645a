import { isIP } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import type { OciMount } from '#spec/oci-runtime.ts';
import type { MountRecord } from '../containers/container.ts';
import type { VolumeRecord, VolumeTable } from './volume-table.ts';

const KEYS = new Set(['type', 'o', 'device', 'size', 'copy']);

/** A mount option of the runtime: the source is looked up in the mount namespace of this process. */
export const namespaceOption = (pid: number): string => `x-naru.namespace=/proc/${pid}/ns/mnt`;

/** The local driver's options. Throws invalid for unknown ones. */
export function checkVolumeOptions(name: string, options: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new NaruError('invalid', `create ${name}: invalid option: ${JSON.stringify(key)}`);
  }
  const { type, device, o = '' } = options;
  if (options['size'] !== undefined) throw new NaruError('unsupported', `create ${name}: quota size requested but no quota support`);
  if (type !== undefined && !/^[a-z0-9._-]{1,32}$/.test(type)) throw new NaruError('invalid', `create ${name}: invalid type: ${JSON.stringify(type)}`);
  if ((type !== undefined || o !== '') && !device) throw new NaruError('invalid', `create ${name}: missing device in volume options`);
  if (device && type === undefined && !o.split(',').some((word) => word === 'bind' || word === 'rbind')) {
    throw new NaruError('invalid', `create ${name}: missing type in volume options`);
  }
  if (isBind(options) && !device!.startsWith('/')) throw new NaruError('invalid', `create ${name}: device of a bind volume must be an absolute path`);
}

const ADDRESS = 'addr=';

/** The server that a network volume names and the kernel cannot look up; undefined: none, or an address already. */
export function serverName({ options }: VolumeRecord): string | undefined {
  const { type = '', o = '' } = options;
  const name = /^(nfs4?|cifs|smb3)$/.test(type) ? o.split(',').find((word) => word.startsWith(ADDRESS))?.slice(ADDRESS.length) : undefined;
  return name === undefined || isIP(name) !== 0 ? undefined : name;
}

const isBind = ({ type, o = '' }: Readonly<Record<string, string>>): boolean => o.split(',').some((word) => word === 'bind' || word === 'rbind') || type === 'bind';

/** Does its data lie in a directory of ours, or one of the host's (so that it can be filled, and reached by `cp`)? */
export function volumeDirectory(table: VolumeTable, record: VolumeRecord): string | undefined {
  if (isBind(record.options)) return record.options['device'];
  return record.options['type'] === undefined ? table.dataPath(record.name) : undefined;
}

/** The host's paths that a container's mounts are made from; directories of ours are not among them. */
export const sourcesOf = ({ volumes }: { readonly volumes: VolumeTable }, mounts: readonly MountRecord[]): string[] => mounts.flatMap(({ type, source, name }) => {
  if (type === 'bind') return [source];
  const record = type === 'volume' ? volumes.get(name!) : undefined;
  return record !== undefined && isBind(record.options) ? [record.options['device']!] : [];
});

/** What is mounted for it: a directory, or a file system of its own (type tmpfs, ext4 …). */
export function volumeMount(table: VolumeTable, record: VolumeRecord, servers: ReadonlyMap<string, string> = new Map()): Pick<OciMount, 'type' | 'source' | 'options'> {
  const directory = volumeDirectory(table, record);
  const words = (record.options['o'] ?? '').split(',').filter((word) => word !== '').map((word) => {
    const address = word.startsWith(ADDRESS) ? servers.get(word.slice(ADDRESS.length)) : undefined;
    return address === undefined ? word : `${ADDRESS}${address}`;
  });
  if (directory !== undefined) return { type: 'bind', source: directory, options: ['rbind', ...words.filter((word) => !['bind', 'rbind'].includes(word))] };
  return { type: record.options['type']!, source: record.options['device']!, options: words };
}
