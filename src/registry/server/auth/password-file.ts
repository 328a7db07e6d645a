import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import bcrypt from 'bcryptjs';
import { NaruError } from '#spec/errors.ts';
import { registryError } from '#registry/protocol/error-codes.ts';

/** bcrypt costs about 50 ms of processor time at cost 10: a proven password is remembered this long, and only so many are tried at once. */
const REMEMBER_MS = 5 * 60_000;
const MAX_REMEMBERED = 1_000;
const MAX_WAITING = 32;
const COST = 10;
const MAX_PASSWORD_BYTES = 72;
const USER = /^[^:\s\p{C}]{1,128}$/u;

/** A password file as Apache's htpasswd writes it, bcrypt lines only (`htpasswd -B`). Read again when it changes. */
export class PasswordFile {
  readonly #path: string;
  #version = '';
  #hashes = new Map<string, string>();
  readonly #proven = new Map<string, number>();
  /** Compared when the user does not exist, so that the answer takes as long. */
  readonly #decoy = bcrypt.hashSync(randomBytes(12).toString('hex'), COST);
  readonly #key = randomBytes(32);
  #waiting = 0;

  constructor(path: string) {
    this.#path = path;
    this.#refresh();
  }

  /** Whether the password is the user's. Throws TOOMANYREQUESTS when too many unknown ones are being tried. */
  async verify(user: string, password: string): Promise<boolean> {
    this.#refresh();
    const hash = this.#hashes.get(user);
    const proof = createHash('sha256').update(this.#key).update(JSON.stringify([user, password, hash ?? ''])).digest('hex');
    const until = this.#proven.get(proof);
    if (until !== undefined && until > performance.now()) return true;
    if (this.#waiting >= MAX_WAITING) throw registryError('TOOMANYREQUESTS', 'too many logins at once', { hint: 'try again in a second', headers: { 'Retry-After': '1' } });
    this.#waiting++;
    try {
      const right = await bcrypt.compare(password, hash ?? this.#decoy);
      if (!right || hash === undefined) return false;
    } finally {
      this.#waiting--;
    }
    if (this.#proven.size >= MAX_REMEMBERED) this.#proven.delete(this.#proven.keys().next().value as string);
    this.#proven.set(proof, performance.now() + REMEMBER_MS);
    return true;
  }

  #refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const version = `${mtimeMs}:${size}:${ino}`;
      if (version === this.#version) return;
      this.#hashes = parsePasswords(readFileSync(this.#path, 'utf8'));
      this.#version = version;
    } catch (error) {
      throw new NaruError('invalid', `the password file ${this.#path} cannot be read: ${(error as Error).message}`, { cause: error, hint: 'naru registry user add makes one' });
    }
  }
}

/** Users and bcrypt hashes; lines of other kinds are left out, since nobody can log in by them. */
function parsePasswords(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([^:#]+):(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})\s*$/.exec(line);
    if (match !== null) found.set(match[1] as string, match[2] as string);
  }
  return found;
}

/** Adds a user or changes the password, by writing the whole file anew beside it. Throws `invalid`. */
export async function setPassword(path: string, user: string, password: string): Promise<void> {
  if (!USER.test(user)) throw new NaruError('invalid', `invalid user name ${JSON.stringify(user.slice(0, 80))}`, { hint: 'no colons, spaces or control characters' });
  if (password === '' || Buffer.byteLength(password) > MAX_PASSWORD_BYTES) throw new NaruError('invalid', `a password has 1 to ${MAX_PASSWORD_BYTES} bytes`);
  const line = `${user}:${await bcrypt.hash(password, COST)}`;
  let text = '';
  try { text = readFileSync(path, 'utf8'); } catch (error) { if ((error as { code?: string }).code !== 'ENOENT') throw error; }
  const lines = text.split('\n').filter((one) => one !== '' && !one.startsWith(`${user}:`));
  const partial = `${path}.${process.pid}.tmp`;
  const fd = openSync(partial, 'w', 0o600);
  try {
    writeSync(fd, `${[...lines, line].join('\n')}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(partial, path);
}
