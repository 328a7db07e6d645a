import { spawn } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import { HOST_VIEW, mayWait, type FileView } from '#sys/remote-files.ts';

/** How long the server of a file system may take to answer, in milliseconds. */
const ANSWER_DEADLINE_MS = 10_000;

/** Paths that the user named are looked at by a process of its own first when somebody else serves them: the daemon never waits for a
 *  server that is gone (NFS, FUSE), and neither does anybody who asks it for something else. */
export interface RemoteAnswers {
  /** Undefined, at once, when all lie on file systems of this machine. Otherwise resolves when their servers have answered (or said that
   *  there is no such file); rejects with unavailable after the deadline. */
  of(paths: readonly string[], view?: FileView): Promise<void> | undefined;
}

/** `self`: how this executable is called; undefined (tests of the engine alone): nobody is asked. */
export function createRemoteAnswers(self: readonly string[] | undefined): RemoteAnswers {
  /** A server that is gone holds one process for each path, whoever asks again: those are told at once what the first one waited for. */
  const asked = new Map<string, Promise<void>>();

  const ask = (path: string, { root }: FileView): Promise<void> => {
    const key = `${root}\n${path}`;
    let answer = asked.get(key);
    if (answer === undefined) {
      answer = look([...self!, 'internal', 'look', root, path], { path, gone: () => void asked.delete(key) });
      asked.set(key, answer);
    }
    return answer;
  };

  return {
    of(paths, view = HOST_VIEW) {
      if (self === undefined || !mayWait(paths, view)) return undefined;
      return Promise.all(paths.filter((path) => mayWait([path], view)).map((path) => ask(path, view))).then(() => undefined);
    },
  };
}

/** One look by a process. After the deadline it is killed, but one that waits for a server may stay: `gone` when it is. */
function look([program, ...words]: readonly string[], { path, gone }: { path: string; gone: () => void }): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, words, { stdio: 'ignore', cwd: '/', env: {} });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new NaruError('unavailable', `${path}: its file system has not answered within ${ANSWER_DEADLINE_MS / 1000}s`, {
        hint: 'it is served over a network or by a program, which hangs or is gone: bring that back, or unmount it',
      }));
    }, ANSWER_DEADLINE_MS);
    const over = (): void => {
      clearTimeout(timer);
      gone();
      resolve();
    };
    child.once('error', over).once('exit', over);
    child.unref();
  });
}
