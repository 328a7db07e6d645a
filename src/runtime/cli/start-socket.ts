import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { connectSeqpacket, connectUnix, listenSeqpacket } from '#sys/descriptors.ts';
import { ERRNO } from '#sys/errno.ts';
import { NaruError } from '#spec/errors.ts';

const MAX_SOCKET_PATH = 108;

/** Works on a path of any length: through a descriptor of its directory. */
function shortly<T>(path: string, work: (path: string) => T): T {
  if (Buffer.byteLength(path) < MAX_SOCKET_PATH) return work(path);
  const directory = openSync(dirname(path), 'r');
  try {
    return work(`/proc/self/fd/${directory}/${path.slice(path.lastIndexOf('/') + 1)}`);
  } finally {
    closeSync(directory);
  }
}

/** The socket on which a created container waits; the caller's to close. */
export const listenForStart = (path: string): number => shortly(path, listenSeqpacket);

/** undefined: nobody waits there. */
export function connectToStart(path: string): number | undefined {
  try {
    return shortly(path, connectSeqpacket);
  } catch (error) {
    const { errno, code } = error as NaruError & NodeJS.ErrnoException;
    if (errno === ERRNO.ECONNREFUSED || errno === ERRNO.ENOENT || code === 'ENOENT') return undefined;
    throw error;
  }
}

/** --console-socket, connected. */
export function connectConsole(path: string): number {
  try {
    return shortly(path, connectUnix);
  } catch (error) {
    throw new NaruError('invalid', `--console-socket ${path}: ${(error as Error).message}`, { cause: error });
  }
}
