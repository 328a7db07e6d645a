import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const DIRECTORIES = ['dev', 'etc', 'proc', 'sys'];
const FILES = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf'];

/**
 * A directory below the layers of every container, with what is mounted on in all of them. An image that lacks these does not get them
 * written into the container's own layer, so that `diff` and `commit` show what the container did and nothing else.
 */
export function makeInitLayer(dataRoot: string): string {
  const root = join(dataRoot, 'init-layer');
  mkdirSync(root, { recursive: true, mode: 0o755 });
  for (const directory of DIRECTORIES) mkdirSync(join(root, directory), { recursive: true, mode: 0o755 });
  for (const file of FILES) writeFileSync(join(root, file), '', { flag: 'a', mode: 0o644 });
  return root;
}
