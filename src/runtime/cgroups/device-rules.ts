import { NaruError } from '#spec/errors.ts';
import type { DeviceRule } from '#spec/oci-runtime.ts';

/** What every container may use, whatever its rules say, as runc has it: make any node, use the pseudo devices and its own
 *  terminals. These follow the container's own rules. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...([[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 0], [5, 2]] as const).map(([major, minor]): DeviceRule => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
];

export const ACCESS_MKNOD = 1, ACCESS_READ = 2, ACCESS_WRITE = 4;
export const ACCESS_ALL = ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;

/** One rule in one form: absent numbers are every number, `access` a mask of ACCESS_*. */
export interface DeviceMatch {
  readonly type: 'b' | 'c';
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly access: number;
}
export interface NormalRule extends DeviceMatch { readonly allow: boolean }

const ACCESS_BITS: Readonly<Record<string, number>> = { m: ACCESS_MKNOD, r: ACCESS_READ, w: ACCESS_WRITE };

/** OCI's rules one by one: type `a` becomes a rule for block and one for character devices, `u` is `c`, fifos need none.
 *  Throws `invalid` naming the rule. */
export function normalizeDeviceRules(rules: readonly DeviceRule[]): NormalRule[] {
  return rules.flatMap((rule, index) => {
    const at = `/linux/resources/devices/${index}`;
    const access = [...(rule.access ?? 'rwm')].reduce((mask, letter) => {
      const bit = ACCESS_BITS[letter];
      if (bit === undefined) throw new NaruError('invalid', `${at}: access ${JSON.stringify(rule.access)} has letters other than r, w and m`);
      return mask | bit;
    }, 0);
    const number = (value: number | undefined, what: string): number | undefined => {
      if (value === undefined || value === -1) return undefined;
      if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new NaruError('invalid', `${at}: ${what} ${value} is not a device number`);
      return value;
    };
    const [major, minor] = [number(rule.major, 'major'), number(rule.minor, 'minor')];
    if (access === 0 || rule.type === 'p') return [];
    const make = (type: 'b' | 'c'): NormalRule => ({ allow: rule.allow, type, major, minor, access });
    switch (rule.type ?? 'a') {
      case 'a': return [make('b'), make('c')];
      case 'b': return [make('b')];
      case 'c': case 'u': return [make('c')];
      default: throw new NaruError('invalid', `${at}: unknown device type ${JSON.stringify(rule.type)}`);
    }
  });
}

/** What v1's devices controller can hold: everything is denied (or allowed) but these. */
export interface DevicePolicy {
  readonly allowByDefault: boolean;
  readonly exceptions: readonly DeviceMatch[];
}

/**
 * The policy that a list of rules adds up to, the last rule that matches winning for each kind of access; a list starts from
 * everything denied. Throws `invalid` for what the controller cannot express: a rule that would take away a part of an
 * earlier, wider one, which it would silently ignore.
 */
export function devicePolicy(rules: readonly NormalRule[]): DevicePolicy {
  let allowByDefault = false;
  let exceptions: DeviceMatch[] = [];
  for (const [index, rule] of rules.entries()) {
    const other = rules[index + 1];
    if (isEverything(rule) && other !== undefined && isEverything(other) && other.type !== rule.type && other.allow === rule.allow) {
      allowByDefault = rule.allow;
      exceptions = [];
    } else if (rule.allow !== allowByDefault) {
      exceptions = addException(exceptions, rule);
    } else if (!isEverything(rule) || exceptions.length > 0) {
      exceptions = takeBack(exceptions, rule);
    }
  }
  return { allowByDefault, exceptions };
}

const isEverything = (rule: DeviceMatch): boolean => rule.major === undefined && rule.minor === undefined && rule.access === ACCESS_ALL;
const covers = (wide: DeviceMatch, narrow: DeviceMatch): boolean =>
  wide.type === narrow.type && (wide.major === undefined || wide.major === narrow.major) && (wide.minor === undefined || wide.minor === narrow.minor);
const overlaps = (a: DeviceMatch, b: DeviceMatch): boolean =>
  a.type === b.type && (a.major === undefined || b.major === undefined || a.major === b.major) && (a.minor === undefined || b.minor === undefined || a.minor === b.minor);

function addException(exceptions: readonly DeviceMatch[], { type, major, minor, access }: DeviceMatch): DeviceMatch[] {
  const added = { type, major, minor, access };
  if (exceptions.some((exception) => covers(exception, added) && (access & ~exception.access) === 0)) return [...exceptions];
  const same = exceptions.findIndex((exception) => covers(exception, added) && covers(added, exception));
  if (same < 0) return [...exceptions, added];
  return exceptions.map((exception, index) => (index === same ? { ...exception, access: exception.access | access } : exception));
}

function takeBack(exceptions: readonly DeviceMatch[], rule: NormalRule): DeviceMatch[] {
  return exceptions.flatMap((exception) => {
    if (!overlaps(exception, rule) || (exception.access & rule.access) === 0) return [exception];
    if (!covers(rule, exception)) {
      throw new NaruError('invalid', `/linux/resources/devices: cgroup v1 cannot ${rule.allow ? 'allow' : 'deny'} ${describe(rule)} after ${describe(exception)} as a whole was ${rule.allow ? 'denied' : 'allowed'}`, {
        hint: 'List the single devices instead of a wildcard.',
      });
    }
    const access = exception.access & ~rule.access;
    return access === 0 ? [] : [{ ...exception, access }];
  });
}

/** As devices.allow and devices.deny take it: `c 1:3 rwm`, `b *:* m`. */
export const describe = ({ type, major, minor, access }: DeviceMatch): string =>
  `${type} ${major ?? '*'}:${minor ?? '*'} ${access & ACCESS_READ ? 'r' : ''}${access & ACCESS_WRITE ? 'w' : ''}${access & ACCESS_MKNOD ? 'm' : ''}`;

/** The writes, as [file, value], that give a new v1 group (which allows what its parent allows: everything) this policy. */
export function deviceWritesV1({ allowByDefault, exceptions }: DevicePolicy): (readonly ['devices.allow' | 'devices.deny', string])[] {
  if (allowByDefault) return exceptions.map((exception) => ['devices.deny', describe(exception)] as const);
  return [['devices.deny', 'a'], ...exceptions.map((exception) => ['devices.allow', describe(exception)] as const)];
}
