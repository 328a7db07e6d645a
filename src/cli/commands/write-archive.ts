import { closeSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { ByteStream } from '#client/byte-stream.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { platformOf } from '../create/create-container.ts';

/** `export`. */
export const exportContainer: CommandRunner = (context) => writeArchive(context, 'failed to export container', () => context.client().containers.export(context.args[0] as string));

/** `save`. */
export const saveImages: CommandRunner = (context) => {
  const platform = platformOf(context);
  return writeArchive(context, 'failed to save image', () => context.client().images.save(context.args, platform === undefined ? {} : { platform }));
};

/** Writes a stream to `--output` (which appears only when it is whole) or stdout. */
async function writeArchive({ flags, io }: CommandContext, failure: string, open: () => Promise<ByteStream>): Promise<number> {
  const path = flags.string('output');
  if (path === '') {
    if (io.isTerminal(1)) throw new NaruError('invalid', 'cowardly refusing to save to a terminal. Use the -o flag or redirect');
    for await (const chunk of await open()) await io.write(1, chunk);
    return 0;
  }
  const partial = `${path}.${process.pid}.tmp`;
  let fd: number;
  try {
    fd = openSync(partial, 'wx', 0o600);
  } catch (cause) {
    throw new NaruError('invalid', `${failure}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? `invalid output path: directory ${JSON.stringify(path.slice(0, Math.max(0, path.lastIndexOf('/'))))} does not exist` : (cause as Error).message}`, { cause });
  }
  try {
    // A file takes what it gets at once: a turn through another thread for each piece would be half of the work.
    for await (const chunk of await open()) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    closeSync(fd);
    renameSync(partial, path);
  } catch (error) {
    unlinkSync(partial);
    throw error;
  }
  return 0;
}
