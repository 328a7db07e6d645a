import { NaruError } from '#spec/errors.ts';
import type { OciSeccomp } from '#spec/oci-runtime.ts';
import type { ProfileConditions } from './default-profile.ts';
import { kernelAtLeast } from './kernel-version.ts';
import { parseExactJson } from './parse-exact-json.ts';

/** The longest profile that is read; Docker's own has 18 kB. */
export const PROFILE_MAX_BYTES = 1024 * 1024;

const NATIVE = { amd64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' } as const;

/**
 * A user's seccomp profile (`--security-opt seccomp=FILE`), in Docker's form (`archMap`, `includes`, `excludes`, the older
 * `name`) or OCI's, as an OCI profile for a container with these conditions
 * (https://docs.docker.com/engine/security/seccomp/). undefined: it has neither default action nor rules, which means no
 * filter. Rules without effect here are left out; actions, comparators and names are checked by `compileSeccomp`.
 * Throws `invalid`.
 */
export function loadProfile(json: string, conditions: ProfileConditions): OciSeccomp | undefined {
  const profile = parse(json);
  const syscalls = field(profile, 'syscalls', 'array') ?? [];
  const defaultAction = field(profile, 'defaultAction', 'string') ?? '';
  if (defaultAction === '' && syscalls.length === 0) return undefined;
  if (defaultAction === '') throw problem('defaultAction is missing');

  const architectures = field(profile, 'architectures', 'array') ?? [];
  const archMap = field(profile, 'archMap', 'array') ?? [];
  if (architectures.length > 0 && archMap.length > 0) {
    throw problem("both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'");
  }
  const mapped = archMap.map((entry, index) => object(entry, `archMap[${index}]`)).find((entry) => entry['architecture'] === NATIVE[conditions.architecture]);
  const listed = mapped === undefined ? architectures : [mapped['architecture'], ...(field(mapped, 'subArchitectures', 'array') ?? [])];

  const result: OciSeccomp = { defaultAction, architectures: strings(listed, 'architectures'), syscalls: [] };
  const flags = field(profile, 'flags', 'array');
  if (flags !== undefined) result.flags = strings(flags, 'flags');
  const errnoRet = field(profile, 'defaultErrnoRet', 'number');
  if (errnoRet !== undefined) result.defaultErrnoRet = errnoRet;
  for (const name of ['listenerPath', 'listenerMetadata'] as const) {
    const text = field(profile, name, 'string');
    if (text !== undefined) result[name] = text;
  }
  syscalls.forEach((entry, index) => {
    const rule = loadRule(object(entry, `syscalls[${index}]`), { conditions, at: `syscalls[${index}]` });
    if (rule !== undefined) result.syscalls!.push(rule);
  });
  return result;
}

type Json = Record<string, unknown>;
type OciRule = NonNullable<OciSeccomp['syscalls']>[number];

function loadRule(rule: Json, context: { conditions: ProfileConditions; at: string }): OciRule | undefined {
  const { conditions, at } = context;
  const name = field(rule, 'name', 'string', at) ?? '';
  const names = strings(field(rule, 'names', 'array', at) ?? [], `${at}.names`);
  if (name !== '' && names.length > 0) {
    throw problem(`${at}: both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'`);
  }
  const excludes = filter(rule['excludes'], `${at}.excludes`);
  if (excludes !== undefined) {
    if (excludes.arches.includes(conditions.architecture)) return undefined;
    if (excludes.caps.some((cap) => conditions.capabilities.includes(cap))) return undefined;
    if (excludes.minKernel !== undefined && kernelAtLeast(conditions.kernel, excludes.minKernel)) return undefined;
  }
  const includes = filter(rule['includes'], `${at}.includes`);
  if (includes !== undefined) {
    if (includes.arches.length > 0 && !includes.arches.includes(conditions.architecture)) return undefined;
    if (!includes.caps.every((cap) => conditions.capabilities.includes(cap))) return undefined;
    if (includes.minKernel !== undefined && !kernelAtLeast(conditions.kernel, includes.minKernel)) return undefined;
  }
  const loaded: OciRule = { names: name === '' ? names : [name], action: field(rule, 'action', 'string', at) ?? '' };
  const errnoRet = field(rule, 'errnoRet', 'number', at);
  if (errnoRet !== undefined) loaded.errnoRet = errnoRet;
  const args = field(rule, 'args', 'array', at) ?? [];
  if (args.length > 0) loaded.args = args.map((arg, index) => loadArg(object(arg, `${at}.args[${index}]`), `${at}.args[${index}]`));
  return loaded;
}

function loadArg(arg: Json, at: string): NonNullable<OciRule['args']>[number] {
  const number = (name: string): number | string => {
    const value = arg[name] ?? 0;
    if (typeof value !== 'number' && typeof value !== 'string') throw problem(`${at}.${name} is not a number`);
    return value;
  };
  return { index: Number(number('index')), value: number('value'), valueTwo: number('valueTwo'), op: field(arg, 'op', 'string', at) ?? '' };
}

function filter(value: unknown, at: string): { arches: string[]; caps: string[]; minKernel: string | undefined } | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = object(value, at);
  const minKernel = field(fields, 'minKernel', 'string', at);
  return {
    arches: strings(field(fields, 'arches', 'array', at) ?? [], `${at}.arches`),
    caps: strings(field(fields, 'caps', 'array', at) ?? [], `${at}.caps`),
    minKernel: minKernel === '' ? undefined : minKernel,
  };
}

function parse(json: string): Json {
  if (json.length > PROFILE_MAX_BYTES) throw new NaruError('too-large', `seccomp profile is longer than ${PROFILE_MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = parseExactJson(json);
  } catch (cause) {
    throw new NaruError('invalid', `Decoding seccomp profile failed: ${(cause as Error).message}`, { cause });
  }
  return object(value, 'the profile');
}

const problem = (message: string): NaruError => new NaruError('invalid', `Decoding seccomp profile failed: ${message}`);

function object(value: unknown, at: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw problem(`${at} is not an object`);
  return value as Json;
}

function strings(list: readonly unknown[], at: string): string[] {
  list.forEach((item, index) => {
    if (typeof item !== 'string') throw problem(`${at}[${index}] is not a string`);
  });
  return list as string[];
}

interface FieldTypes { string: string; number: number; array: unknown[] }

/** A field of this type; undefined when absent or null. */
function field<K extends keyof FieldTypes>(from: Json, name: string, type: K, at = ''): FieldTypes[K] | undefined {
  const value = Object.hasOwn(from, name) ? from[name] : undefined;
  if (value === undefined || value === null) return undefined;
  const matches = type === 'array' ? Array.isArray(value) : typeof value === type;
  if (!matches) throw problem(`${at === '' ? '' : `${at}.`}${name} is not ${type === 'array' ? 'an array' : `a ${type}`}`);
  return value as FieldTypes[K];
}
