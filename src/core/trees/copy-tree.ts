import { closeSync } from 'node:fs';
import { openDirectory, openInRoot, rawFromText } from '#sys/files.ts';
import { O_DIRECTORY, O_PATH } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { packTree } from './pack-tree.ts';
import { unpackTree } from './unpack-tree.ts';

/** Copies what lies below `path` of `root` into the directory `destination` (absolute, naru's own): owners, modes, attributes,
 *  hard links and times. A path that is missing or no directory copies nothing. Through the same two halves as `docker cp`, so with the same care. */
export async function copyTree(root: number, path: string, destination: string): Promise<void> {
  const from = openInRoot(root, rawFromText(path), { flags: O_PATH | O_DIRECTORY });
  if (from < 0) return;
  const into = check(openDirectory(destination), `open ${destination}`);
  try {
    const archive = packTree(from, { path: '/', name: '.', closeRoot: false });
    await unpackTree(into, '/', archive, { noOverwriteDirNonDir: false, keepIds: true });
  } finally {
    closeSync(into);
    closeSync(from);
  }
}
