import { createReadStream, openSync } from 'node:fs';
import { jsonStream } from '#client/json-stream.ts';
import type { ProgressMessage } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { platformOf } from '../create/create-container.ts';
import { displayProgress } from '../progress.ts';

/** `load`. */
export const loadImages: CommandRunner = async (context) => {
  const { flags, io } = context;
  const path = flags.string('input');
  if (path === '' && io.isTerminal(0)) throw new NaruError('invalid', 'requested load from stdin, but stdin is empty');
  const platform = platformOf(context);
  const archive = path === '' ? io.input() : readFile(path);
  const { json, body } = await context.client().images.load(archive, { quiet: flags.bool('quiet') || !io.isTerminal(1), ...(platform === undefined ? {} : { platform }) });
  if (json) await displayProgress(jsonStream<ProgressMessage>(body), io, 1);
  else for await (const chunk of body) await io.write(1, chunk);
  return 0;
};

const READ_SIZE = 1 << 20;

/** A file's bytes, opened at once so that a missing one is known before anything is sent. */
export function readFile(path: string): AsyncIterable<Uint8Array> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new NaruError('not-found', `open ${path}: ${code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : (cause as Error).message}`, { cause });
  }
  return createReadStream(path, { fd, highWaterMark: READ_SIZE }) as AsyncIterable<Uint8Array>;
}
