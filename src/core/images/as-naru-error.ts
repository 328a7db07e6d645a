import { NaruError, type ErrorKind } from '#spec/errors.ts';

const KINDS: Readonly<Record<string, ErrorKind>> = {
  ENOSPC: 'no-space', EDQUOT: 'no-space', ABORT_ERR: 'canceled', ENAMETOOLONG: 'corrupt', ELOOP: 'corrupt', ENOTDIR: 'corrupt',
};
const TEXTS: Readonly<Record<string, string>> = { ENOSPC: 'no space left on device', EDQUOT: 'disk quota exceeded', EMFILE: 'too many open files' };

/** Errors of node:fs and of system calls, by what they mean for an archive that is being read. */
export function asNaruError(error: unknown): NaruError {
  if (error instanceof NaruError) {
    const name = error.hint?.startsWith('errno ') === true ? error.hint.slice(6) : '';
    const kind = KINDS[name];
    return kind === undefined || error.kind !== 'internal' ? error : new NaruError(kind, error.message, { cause: error, ...(error.errno === undefined ? {} : { errno: error.errno }) });
  }
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new NaruError(KINDS[code] ?? 'internal', TEXTS[code] ?? message, { cause: error });
}
