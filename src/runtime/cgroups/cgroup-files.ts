import { closeSync, constants, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { errnoText } from '#sys/errno.ts';

/** The errno name of a failed file operation: `ENOENT`. */
export const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? '');

/** A group or a file that is gone: its processes ended and somebody removed it. ENODEV is what an open file of a group says, ESRCH
 *  one of a process. */
export const isGone = (error: unknown): boolean => ['ENOENT', 'ENODEV', 'ENOTDIR', 'ESRCH'].includes(codeOf(error));

/** A cgroup file's text; undefined when it, or its group, is not there (or cannot be read in this state of the group). */
export function readGroupFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error) || codeOf(error) === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}

/** One write(2), as every cgroup file wants it. Throws the system's error. */
export function writeGroupFile(path: string, value: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}

/** What a failed write means to a person: `cannot set memory.max of /naru/x to 5: device or resource busy`. */
export function writeError(error: unknown, subject: { path: string; file: string; value: string; hint?: string }): NaruError {
  const code = codeOf(error);
  const kind = code === 'EINVAL' || code === 'ERANGE' || code === 'EBUSY' ? 'invalid' : isGone(error) ? 'not-found' : code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'forbidden' : 'internal';
  const errno = (error as NodeJS.ErrnoException).errno;
  return new NaruError(kind, `cannot set ${subject.file} of cgroup ${subject.path} to ${JSON.stringify(subject.value)}: ${errno === undefined ? code : errnoText(Math.abs(errno))}`, {
    cause: error, ...(errno === undefined ? {} : { errno: Math.abs(errno) }), ...(subject.hint === undefined ? {} : { hint: subject.hint }),
  });
}

/** The groups directly below a group, as absolute directories; none when it is gone. */
export function childGroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${directory}/${entry.name}`);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
