import { readFileSync, statSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { parseVerifyKey, type VerifyKey } from '#registry/signatures/verify-signature.ts';

/**
 * Which repositories need whose signatures: one JSON file, read again whenever it changes.
 *
 *     {
 *       "default": "allow",                              or "deny": for repositories that no entry covers, and images without a name
 *       "repositories": {                                full names; the longest prefix (whole path components) decides
 *         "docker.io/library": "allow",
 *         "registry.example": "deny",
 *         "registry.example/team": {
 *           "keys": ["/etc/naru/keys/team.pub", "-----BEGIN PUBLIC KEY-----\n…"],
 *           "need": 1,                                   of how many different keys there must be a signature
 *           "anyName": false                             true: signatures made under another repository's name count too
 *         }
 *       }
 *     }
 *
 * A file that cannot be understood refuses everything, with a sentence that says where it is wrong.
 */
export interface ImagePolicy {
  /** undefined: there is no file. Throws `invalid`. */
  current(): Rules | undefined;
}

export interface Rules { readonly path: string; ruleFor(repository: string | undefined): Rule }

export type Rule =
  | { readonly kind: 'allow'; /** The entry that decided: a prefix, or `default`. */ readonly entry: string }
  | { readonly kind: 'deny'; readonly entry: string }
  | { readonly kind: 'keys'; readonly entry: string; readonly keys: readonly VerifyKey[]; readonly need: number; readonly anyName: boolean };

const MAX_FILE = 1 << 20;

export function openImagePolicy(path: string): ImagePolicy {
  let read: { stamp: string; rules: Rules } | undefined;
  return {
    current() {
      const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
      if (stat === undefined) return undefined;
      const stamp = `${stat.ino} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.size}`;
      if (read?.stamp !== stamp) read = { stamp, rules: parsePolicy(readText(path), path) };
      return read.rules;
    },
  };
}

function readText(path: string): string {
  const bytes = readFileSync(path);
  if (bytes.byteLength > MAX_FILE) throw new NaruError('invalid', `image policy ${path}: larger than ${MAX_FILE} bytes`);
  return bytes.toString('utf8');
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Throws `invalid`, naming file and field. Unknown fields are refused: one that is misspelt must not weaken anything. */
export function parsePolicy(text: string, path: string): Rules {
  const invalid = (field: string, what: string): NaruError => new NaruError('invalid', `image policy ${path}: ${field}: ${what}`, { hint: 'until it is put right no image is let through' });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw invalid('the file', 'not JSON');
  }
  if (!isObject(document)) throw invalid('the file', 'not an object');
  for (const field of Object.keys(document)) if (field !== 'default' && field !== 'repositories') throw invalid(field, 'unknown field');
  const { default: otherwise = 'allow', repositories = {} } = document;
  if (otherwise !== 'allow' && otherwise !== 'deny') throw invalid('default', 'neither "allow" nor "deny"');
  if (!isObject(repositories)) throw invalid('repositories', 'not an object');
  const rules = new Map(Object.entries(repositories).map(([prefix, value]) => {
    const field = `repositories[${JSON.stringify(prefix)}]`;
    if (!/^[^\s/@]+(\/[^\s/@]+)*$/.test(prefix)) throw invalid(field, 'not the beginning of a full repository name, like docker.io/library/busybox');
    return [prefix, ruleOf(value, { entry: prefix, field, invalid })] as const;
  }));
  return {
    path,
    ruleFor(repository) {
      for (let prefix = repository; prefix !== undefined && prefix !== ''; prefix = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : undefined) {
        const rule = rules.get(prefix);
        if (rule !== undefined) return rule;
      }
      return { kind: otherwise, entry: 'default' };
    },
  };
}

function ruleOf(value: unknown, { entry, field, invalid }: { entry: string; field: string; invalid: (field: string, what: string) => NaruError }): Rule {
  if (value === 'allow' || value === 'deny') return { kind: value, entry };
  if (!isObject(value)) throw invalid(field, 'neither "allow", "deny" nor an object with keys');
  for (const name of Object.keys(value)) if (!['keys', 'need', 'anyName'].includes(name)) throw invalid(`${field}.${name}`, 'unknown field');
  const { keys, need = 1, anyName = false } = value;
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every((key) => typeof key === 'string')) throw invalid(`${field}.keys`, 'not a list of key files');
  if (typeof anyName !== 'boolean') throw invalid(`${field}.anyName`, 'not true or false');
  const parsed = (keys as string[]).map((key, i) => {
    if (key.startsWith('-----BEGIN')) return parseVerifyKey(key, `${field}.keys[${i}]`);
    if (!key.startsWith('/')) throw invalid(`${field}.keys[${i}]`, 'neither an absolute path nor a key in PEM');
    let pem: string;
    try {
      pem = readFileSync(key, 'utf8');
    } catch (error) {
      throw invalid(`${field}.keys[${i}]`, `${key} cannot be read: ${String((error as NodeJS.ErrnoException).code)}`);
    }
    return parseVerifyKey(pem, key);
  });
  const different = new Set(parsed.map(({ id }) => id)).size;
  if (typeof need !== 'number' || !Number.isSafeInteger(need) || need < 1 || need > different) throw invalid(`${field}.need`, `not a number from 1 to ${different}`);
  return { kind: 'keys', entry, keys: parsed, need, anyName };
}
