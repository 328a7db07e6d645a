import { NaruError } from '#spec/errors.ts';
import { registryError } from '#registry/protocol/error-codes.ts';

/** The name of the operating system's or SQLite's error. */
export const codeOf = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
};

/** SQLITE_FULL as node:sqlite tells it. */
const isFullDatabase = (error: unknown): boolean => (error as { errcode?: unknown } | null)?.errcode === 13 || /database or disk is full/i.test((error as Error | null)?.message ?? '');

/** What a client is told when the disk fails it: a full one is named, of others only that it failed. */
export function asStorageError(error: unknown, what: string): unknown {
  if (error instanceof NaruError) return error;
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || isFullDatabase(error)) {
    return registryError('BLOB_UPLOAD_INVALID', `${what}: no space left in the registry's storage`, { status: 507, cause: error, hint: 'free space or run naru registry gc' });
  }
  if (code === 'EROFS' || code === 'EACCES' || code === 'EIO' || code === 'EMFILE' || code === 'ENFILE') {
    return registryError('UNAVAILABLE', `${what}: ${code}`, { cause: error });
  }
  return error;
}
