import { NaruError } from '#spec/errors.ts';
import type { OciMount } from '#spec/oci-runtime.ts';
import type { VolumeRecord, VolumeTable } from './volume-table.ts';

const KEYS = new Set(['type', 'o', 'device', 'size', 'copy']);
const NETWORK = /^(nfs|nfs4|cifs|smb3|sshfs|9p)$/;

/** The local driver's options. Throws invalid for unknown ones, unsupported for network file systems. */
export function checkVolumeOptions(name: string, options: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new NaruError('invalid', `create ${name}: invalid option: ${JSON.stringify(key)}`);
  }
  const { type, device, o = '' } = options;
  if (options['size'] !== undefined) throw new NaruError('unsupported', `create ${name}: quota size requested but no quota support`);
  if (type !== undefined && NETWORK.test(type)) {
    throw new NaruError('unsupported', `create ${name}: a ${type} volume cannot be mounted by this engine`, { hint: `mount it on the host and use a bind mount` });
  }
  if (type !== undefined && !/^[a-z0-9._-]{1,32}$/.test(type)) throw new NaruError('invalid', `create ${name}: invalid type: ${JSON.stringify(type)}`);
  if ((type !== undefined || o !== '') && !device) throw new NaruError('invalid', `create ${name}: missing device in volume options`);
  if (device && type === undefined && !o.split(',').some((word) => word === 'bind' || word === 'rbind')) {
    throw new NaruError('invalid', `create ${name}: missing type in volume options`);
  }
  if (isBind(options) && !device!.startsWith('/')) throw new NaruError('invalid', `create ${name}: device of a bind volume must be an absolute path`);
}

const isBind = ({ type, o = '' }: Readonly<Record<string, string>>): boolean => o.split(',').some((word) => word === 'bind' || word === 'rbind') || type === 'bind';

/** Does its data lie in a directory of ours, or one of the host's (so that it can be filled, and reached by `cp`)? */
export function volumeDirectory(table: VolumeTable, record: VolumeRecord): string | undefined {
  if (isBind(record.options)) return record.options['device'];
  return record.options['type'] === undefined ? table.dataPath(record.name) : undefined;
}

/** What is mounted for it: a directory, or a file system of its own (type tmpfs, ext4 …). */
export function volumeMount(table: VolumeTable, record: VolumeRecord): Pick<OciMount, 'type' | 'source' | 'options'> {
  const directory = volumeDirectory(table, record);
  const words = (record.options['o'] ?? '').split(',').filter((word) => word !== '');
  if (directory !== undefined) return { type: 'bind', source: directory, options: ['rbind', ...words.filter((word) => !['bind', 'rbind'].includes(word))] };
  return { type: record.options['type']!, source: record.options['device']!, options: words };
}
