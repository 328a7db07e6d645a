import { cleanPath } from '#runtime/compile/clean-path.ts';
import { NaruError } from '#spec/errors.ts';

/**
 * linux.cgroupsPath as a path below every hierarchy's root. Without systemd: absolute as it stands, relative below the root,
 * none `/naru/<id>`. `slice:prefix:name` (--systemd-cgroup): where systemd would put that scope.
 */
export function runtimeCgroupPath(id: string, cgroupsPath: string | undefined, systemd: boolean): string {
  if (cgroupsPath?.split('/').includes('..') === true) throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(cgroupsPath)} has a ".." in it`);
  if (systemd) return systemdPath(id, cgroupsPath ?? '');
  return cgroupsPath === undefined || cgroupsPath === '' ? `/naru/${id}` : cleanPath(cgroupsPath);
}

function systemdPath(id: string, cgroupsPath: string): string {
  const parts = cgroupsPath === '' ? ['', 'naru', id] : cgroupsPath.split(':');
  const [slice, prefix, name] = parts as [string, string, string];
  if (parts.length !== 3 || name === '' || cgroupsPath.includes('/')) {
    throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(cgroupsPath)} is not slice:prefix:name, as --systemd-cgroup needs it`);
  }
  const unit = name.endsWith('.slice') ? name : prefix === '' ? `${name}.scope` : `${prefix}-${name}.scope`;
  return `${expandSlice(slice === '' ? 'system.slice' : slice)}/${unit}`;
}

/** `a-b.slice` lies in `/a.slice/a-b.slice`; `-.slice` is the root. */
function expandSlice(slice: string): string {
  if (slice === '-.slice') return '';
  const name = slice.endsWith('.slice') ? slice.slice(0, -'.slice'.length) : '';
  const parts = name.split('-');
  if (name === '' || parts.includes('')) throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(slice)} is no name of a slice`);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('-')}.slice`).join('');
}
