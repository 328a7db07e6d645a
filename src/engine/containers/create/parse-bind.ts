import { posix } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { MountRecord } from '../container.ts';
import { parseIdmap } from './parse-idmap.ts';

const PROPAGATIONS = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);
const CONSISTENCY = new Set(['consistent', 'cached', 'delegated', 'default']);
export const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

const bad = (spec: string): NaruError => new NaruError('invalid', `invalid volume specification: '${spec}'`);

/** How a wrong destination in `--volume` is told. */
export const inVolume = (spec: string, type: 'bind' | 'volume'): string => `invalid volume specification: '${spec}': invalid mount config for type "${type}": `;

/** A destination inside the container, cleaned lexically. Throws invalid, `place` (`invalid mount config for type "bind": `) first. */
export function checkDestination(path: string, place: string): string {
  const wrong = (why: string): NaruError => new NaruError('invalid', place + why);
  if (!path.startsWith('/')) throw wrong(`invalid mount path: '${path}' mount path must be absolute`);
  if (path.includes('\0')) throw wrong('the path contains a NUL byte');
  const clean = posix.normalize(path).replace(/(.)\/$/, '$1');
  if (clean === '/') throw wrong("invalid specification: destination can't be '/'");
  return clean;
}

export interface BindMode extends Pick<MountRecord, 'rw' | 'propagation' | 'idmap'> { readonly noCopy: boolean }

/** `ro,z,rslave`: each kind at most once. Throws invalid. */
export function parseBindMode(mode: string, volume: boolean): BindMode {
  const seen = new Set<string>();
  let rw = true;
  let propagation = '';
  let noCopy = false;
  let idmap: MountRecord['idmap'];
  const once = (kind: string): void => {
    if (seen.has(kind)) throw new NaruError('invalid', `invalid mode: ${mode}`);
    seen.add(kind);
  };
  for (const word of mode === '' ? [] : mode.split(',')) {
    if (word === 'ro' || word === 'rw') {
      once('access');
      rw = word === 'rw';
    } else if (word === 'z' || word === 'Z') once('label');
    else if (word === 'nocopy' && volume) {
      once('copy');
      noCopy = true;
    } else if (/^idmap(=|$)/.test(word) && !volume) {
      once('idmap');
      idmap = parseIdmap(word);
    } else if (PROPAGATIONS.has(word) && !volume) {
      once('propagation');
      propagation = word;
    } else if (CONSISTENCY.has(word)) once('consistency');
    else throw new NaruError('invalid', `invalid mode: ${mode}`);
  }
  return { rw, propagation, noCopy, ...(idmap === undefined ? {} : { idmap }) };
}

/** `--volume` in its three forms: `/inside`, `name:/inside[:mode]`, `/host:/inside[:mode]`. A volume's source and an anonymous one's
 *  name are filled in by the caller. Throws invalid in Docker's words. */
export function parseBind(spec: string): MountRecord {
  const parts = spec.split(':');
  if (parts.length > 3 || parts[0] === '') throw bad(spec);
  const flag = `--volume ${spec}`;
  if (parts.length === 1) {
    return { type: 'volume', name: '', source: '', destination: checkDestination(parts[0]!, inVolume(spec, 'volume')), driver: 'local', mode: '', rw: true, propagation: '', anonymous: true, flag };
  }
  const [source, target, mode = ''] = parts as [string, string, string?];
  if (target === '') throw bad(spec);
  const volume = !source.startsWith('/');
  const destination = checkDestination(target, inVolume(spec, volume ? 'volume' : 'bind'));
  const { rw, propagation, noCopy, idmap } = parseBindMode(mode, volume);
  if (!volume) {
    return { type: 'bind', source: posix.normalize(source).replace(/(.)\/$/, '$1'), destination, mode, rw, propagation: propagation || 'rprivate', makeSource: true, ...(idmap === undefined ? {} : { idmap }), flag };
  }
  checkVolumeName(source);
  return { type: 'volume', name: source, source: '', destination, driver: 'local', mode: mode === '' ? 'z' : mode, rw, propagation: '', noCopy, flag };
}

/** Throws invalid in Docker's words. */
export function checkVolumeName(name: string): void {
  if (!VOLUME_NAME.test(name)) {
    throw new NaruError('invalid', `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`);
  }
}
