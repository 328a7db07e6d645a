import { readFileSync, type Stats, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { validateSpec } from '#runtime/compile/validate-spec.ts';
import { parseExactJson } from '#runtime/seccomp/parse-exact-json.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

/** A configuration is a few KiB; beyond this it is an attack or a mistake. */
export const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
const LONG_NUMBER = /\d{16}/;

export interface Bundle {
  /** Absolute. */
  readonly path: string;
  readonly config: string;
  readonly spec: OciSpec;
  /** Absolute; exists. */
  readonly rootfs: string;
}

/** An OCI bundle, checked. Throws `invalid` that begins with the JSON pointer of the offending field. */
export function readBundle(directory: string): Bundle {
  const path = resolve(directory);
  const file = join(path, 'config.json');
  const config = readJsonText(file, `JSON specification file config.json not found in ${path}`);
  const spec = parseConfig(config, file);
  validateSpec(spec);
  if (typeof spec.root !== 'object' || spec.root === null) throw new NaruError('invalid', '/root: missing', { hint: 'the pointer names the field of config.json' });
  if (typeof spec.root.path !== 'string' || spec.root.path === '') throw new NaruError('invalid', '/root/path: missing', { hint: 'the pointer names the field of config.json' });
  const rootfs = resolve(path, spec.root.path);
  if (rootfs === '/') throw new NaruError('invalid', '/root/path: is the root directory of the host');
  if (statSync(rootfs, { throwIfNoEntry: false })?.isDirectory() !== true) throw new NaruError('invalid', `/root/path: ${rootfs} is no directory`);
  return { path, config, spec, rootfs };
}

export function readJsonText(file: string, missing: string): string {
  let found: Stats;
  try {
    found = statSync(file);
  } catch (error) {
    throw new NaruError('not-found', missing, { cause: error });
  }
  // A device or a fifo need not have an end.
  if (!found.isFile()) throw new NaruError('invalid', `${file} is no regular file`);
  if (found.size > MAX_CONFIG_BYTES) throw new NaruError('too-large', `${file} has ${found.size} bytes, more than ${MAX_CONFIG_BYTES}`);
  return readFileSync(file, 'utf8');
}

function parseConfig(text: string, file: string): OciSpec {
  const spec = parseGoJson(text, file) as OciSpec | null;
  // Arguments of system calls are 64 bits wide.
  if (LONG_NUMBER.test(text) && typeof spec === 'object' && spec?.linux?.seccomp) {
    spec.linux.seccomp = (withoutNulls(text, parseExactJson(text)) as OciSpec).linux!.seccomp!;
  }
  return spec as OciSpec;
}

/** JSON as Go's encoding/json takes it: null says the same as nothing. Throws `invalid`. */
export const parseGoJson = (text: string, file: string): unknown => withoutNulls(text, parseJson(text, file));

function withoutNulls(text: string, value: unknown): unknown {
  if (text.includes('null')) strip(value);
  return value;
}

function strip(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (item === null && !Array.isArray(value)) delete (value as Record<string, unknown>)[key];
    else strip(item);
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NaruError('invalid', `${file}: ${(error as Error).message}`, { cause: error });
  }
}
