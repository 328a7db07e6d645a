import { NaruError } from '#spec/errors.ts';
import type { IdMapping } from '#spec/oci-runtime.ts';
import type { MountRecord } from '../container.ts';

const LIMIT = 2 ** 32 - 1;
/** As many as the kernel takes. */
const MAX_RANGES = 340;

/**
 * `idmap=uids=0-1000-1#1-100001-65535;gids=0-1000-1`, in podman's words: files of the source's id (first) belong to the second id through
 * the mount, for so many ids (third). Without gids, the uids count for both. Throws invalid.
 */
export function parseIdmap(word: string): NonNullable<MountRecord['idmap']> {
  const bad = (why: string): NaruError => new NaruError('invalid', `invalid mount option '${word}': ${why}`, { hint: 'idmap=uids=0-1000-1;gids=0-1000-1: files of 0 appear as those of 1000' });
  if (!word.startsWith('idmap=')) throw bad('the container has no user namespace of its own whose mapping could be meant: write the ids');
  const lists: { uids?: IdMapping[]; gids?: IdMapping[] } = {};
  for (const part of word.slice('idmap='.length).split(';')) {
    const [key, text = ''] = part.split(/=(.*)/s);
    if ((key !== 'uids' && key !== 'gids') || lists[key] !== undefined) throw bad(`'${part}' is not uids=… or gids=…, each once`);
    lists[key] = text.split('#').map((range) => {
      const [containerID, hostID, size] = /^\d{1,10}-\d{1,10}-\d{1,10}$/.test(range) ? range.split('-').map(Number) as [number, number, number] : [LIMIT, LIMIT, 0];
      if (size === 0 || containerID + size > LIMIT || hostID + size > LIMIT) throw bad(`'${range}' is no range FROM-TO-SIZE of ids`);
      return { containerID, hostID, size };
    });
    if (lists[key]!.length > MAX_RANGES) throw bad(`more than ${MAX_RANGES} ranges`);
  }
  const { uids } = lists;
  if (uids === undefined) throw bad('uids are missing');
  return { uids, gids: lists.gids ?? uids };
}
