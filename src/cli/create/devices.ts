import type { DeviceMapping } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { nodePath } from '../on-demand.ts';

/** `--device`: mappings of host devices, and names of CDI devices (`vendor/class=name`). */
export function parseDevices(specs: readonly string[]): { mappings: DeviceMapping[]; cdi: string[] } {
  const mappings: DeviceMapping[] = [];
  const cdi: string[] = [];
  for (const spec of specs) {
    if (/^[A-Za-z][\w.-]*\/[A-Za-z][\w.-]*=[\w.:-]+$/.test(spec)) cdi.push(spec);
    else mappings.push(parseDevice(spec));
  }
  return { mappings, cdi };
}

const isMode = (text: string): boolean => /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;

function parseDevice(spec: string): DeviceMapping {
  const parts = spec.split(':');
  if (parts.length > 3 || parts[0] === '') throw new NaruError('invalid', `bad format for path: ${spec}`);
  const [source, second, third] = parts as [string, string | undefined, string | undefined];
  let host = source;
  let container = source;
  let mode = 'rwm';
  if (second !== undefined && third === undefined && isMode(second)) {
    mode = second;
    host = container = nodePath().posix.normalize(source);
  } else if (second !== undefined) {
    container = third === undefined ? nodePath().posix.normalize(second) : second;
    if (third !== undefined) {
      if (!isMode(third)) throw new NaruError('invalid', `bad mode specified: ${third}`);
      mode = third;
    }
  } else host = container = nodePath().posix.normalize(source);
  if (!container.startsWith('/')) throw new NaruError('invalid', `${container} is not an absolute path`);
  return { PathOnHost: host, PathInContainer: container, CgroupPermissions: mode };
}
