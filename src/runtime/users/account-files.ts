import { NaruError } from '#spec/errors.ts';

/** An image controls these files: beyond this they are an attack, or not accounts (CVE-2024-9676). */
export const MAX_ACCOUNT_FILE = 8 * 1024 * 1024;
const MAX_LINE = 64 * 1024;
const MAX_ID = 0x7fffffff;

export interface Account { readonly name: string; readonly uid: number; readonly gid: number; readonly home: string }
export interface Group { readonly name: string; readonly gid: number; readonly members: readonly string[] }

/** passwd(5). A line whose numbers are none, or out of range, is no account: taken for 0 it would be root's. */
export function* readAccounts(passwd: Uint8Array | undefined): Generator<Account> {
  for (const [name, , uid, gid, , home] of fields(passwd, 'passwd')) {
    const ids = [idOf(uid), idOf(gid)] as const;
    if (name !== undefined && name !== '' && ids[0] !== undefined && ids[1] !== undefined) yield { name, uid: ids[0], gid: ids[1], home: home ?? '' };
  }
}

/** group(5). */
export function* readGroups(group: Uint8Array | undefined): Generator<Group> {
  for (const [name, , gid, members] of fields(group, 'group')) {
    const id = idOf(gid);
    if (name !== undefined && name !== '' && id !== undefined) yield { name, gid: id, members: (members ?? '').split(',').filter((m) => m !== '') };
  }
}

/** A decimal id from 0 to 2^31 - 1; undefined: it is none. */
export function idOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function* fields(bytes: Uint8Array | undefined, file: string): Generator<string[]> {
  if (bytes === undefined) return;
  if (bytes.byteLength > MAX_ACCOUNT_FILE) throw new NaruError('too-large', `the image's /etc/${file} has ${bytes.byteLength} bytes, more than ${MAX_ACCOUNT_FILE}`);
  const decoder = new TextDecoder();
  for (let start = 0; start < bytes.byteLength;) {
    const found = bytes.indexOf(10, start);
    const end = found < 0 ? bytes.byteLength : found;
    if (end - start > MAX_LINE) throw new NaruError('too-large', `the image's /etc/${file} has a line of ${end - start} bytes, more than ${MAX_LINE}`);
    const line = decoder.decode(bytes.subarray(start, end)).trim();
    start = end + 1;
    if (line !== '' && !line.startsWith('#')) yield line.split(':');
  }
}
