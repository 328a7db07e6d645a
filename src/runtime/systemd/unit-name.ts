import { NaruError } from '#spec/errors.ts';

/** A container's unit: linux.cgroupsPath as `slice:prefix:name` (--systemd-cgroup). */
export interface SystemdUnit {
  readonly name: string;
  readonly slice: string;
  /** Its group, below the manager's own. */
  readonly path: string;
}

/** None: `system.slice:naru:<id>`, for a user's systemd `user.slice:…`. Throws `invalid` with the field's pointer. */
export function systemdUnit(id: string, cgroupsPath: string, { user }: { readonly user: boolean }): SystemdUnit {
  const parts = cgroupsPath === '' ? ['', 'naru', id] : cgroupsPath.split(':');
  const [slice, prefix, name] = parts as [string, string, string];
  if (parts.length !== 3 || name === '' || cgroupsPath.includes('/')) {
    throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(cgroupsPath)} is not slice:prefix:name, as --systemd-cgroup needs it`);
  }
  const unit = name.endsWith('.slice') ? name : prefix === '' ? `${name}.scope` : `${prefix}-${name}.scope`;
  const parent = slice !== '' ? slice : user ? 'user.slice' : 'system.slice';
  return { name: unit, slice: parent, path: `${expandSlice(parent)}/${unit}` };
}

/** `a-b.slice` lies in `/a.slice/a-b.slice`; `-.slice` is the root. */
function expandSlice(slice: string): string {
  if (slice === '-.slice') return '';
  const name = slice.endsWith('.slice') ? slice.slice(0, -'.slice'.length) : '';
  const parts = name.split('-');
  if (name === '' || parts.includes('')) throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(slice)} is no name of a slice`);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('-')}.slice`).join('');
}
