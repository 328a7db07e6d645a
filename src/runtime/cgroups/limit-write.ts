import { NaruError } from '#spec/errors.ts';
import { hierarchyOf } from './cgroup-path.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';

/** One limit: a value for a file of a group. Lists of them are in the order in which the kernel accepts them. */
export interface LimitWrite {
  readonly hierarchy: Hierarchy;
  readonly file: string;
  readonly value: string;
  /** The value is what a new group has anyway: needless when it was just made. */
  readonly initial: boolean;
  /** config.json pointer below the resources object: `/memory/limit`. */
  readonly pointer: string;
}

/** Where a resource's controller is. Throws `invalid` naming the resource and the controller when the machine has none. */
export function requireController(host: CgroupHost, controller: string, pointer: string): Hierarchy {
  const hierarchy = hierarchyOf(host, controller);
  if (hierarchy === undefined) {
    throw new NaruError('invalid', `/linux/resources${pointer}: this machine has no ${controller} cgroup controller`, {
      hint: `Leave the limit out, or enable the controller (cgroup_enable=${controller} on the kernel's command line).`,
    });
  }
  return hierarchy;
}

/** Whether groups of the hierarchy have a file; undefined: not known. */
export function hasFile(hierarchy: Hierarchy, file: string): boolean | undefined {
  if (hierarchy.files.has(file)) return true;
  return hierarchy.filesComplete && !hierarchy.unified ? false : undefined;
}

/** The first of these files that the hierarchy has (or may have). Throws `invalid` when it has none of them. */
export function requireFile(hierarchy: Hierarchy, files: readonly string[], pointer: string): string {
  const found = files.find((file) => hasFile(hierarchy, file) === true) ?? files.find((file) => hasFile(hierarchy, file) === undefined);
  if (found === undefined) {
    throw new NaruError('invalid', `/linux/resources${pointer}: this kernel's ${hierarchy.name} cgroups have no ${files.join(' or ')}`, {
      hint: 'Leave the limit out: the kernel was built or booted without it.',
    });
  }
  return found;
}

/** `max`, or bytes/counts; negative means without limit. */
export const orMax = (value: number): string => (value < 0 ? 'max' : integer(value));

/** Numbers in a cgroup file: no exponent, no fraction. */
export const integer = (value: number): string => BigInt(Math.trunc(value)).toString();
