import { cleanPath } from '#runtime/compile/clean-path.ts';
import { NaruError } from '#spec/errors.ts';

/** linux.cgroupsPath as a path below every hierarchy's root: absolute as it stands, relative below the root, none `/naru/<id>`. */
export function runtimeCgroupPath(id: string, cgroupsPath: string | undefined): string {
  if (cgroupsPath?.split('/').includes('..') === true) throw new NaruError('invalid', `/linux/cgroupsPath: ${JSON.stringify(cgroupsPath)} has a ".." in it`);
  return cgroupsPath === undefined || cgroupsPath === '' ? `/naru/${id}` : cleanPath(cgroupsPath);
}
