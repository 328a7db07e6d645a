import { closeSync, readSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { openAt, openDirectory, openInRoot, textFromRaw } from '#sys/files.ts';
import { O_NOFOLLOW, O_RDONLY, RESOLVE_NO_SYMLINKS } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { readMoved, readRecipe, type Moved } from './recipe.ts';

const CHUNK = 1 << 18;

/** The bytes of a layer's tar again, exactly as they came: frames from the recipe, contents from the layer's directory. The
 *  chunks are views that are valid until the next is asked for. */
export function* layerTar(layer: string, recipe: string): Generator<Uint8Array, void, undefined> {
  const root = check(openDirectory(layer), `open ${layer}`);
  const moved = readMoved(recipe);
  const side = moved.length > 0 ? check(openDirectory(`${recipe}/moved`), `open ${recipe}/moved`) : -1;
  const buffer = Buffer.allocUnsafe(CHUNK);
  let files = 0;
  let used = 0;
  try {
    for (const { frame, length, path } of readRecipe(recipe)) {
      // Small pieces are gathered: a chunk for each header would cost more than its bytes.
      for (let at = 0; at < frame.byteLength; ) {
        const part = frame.subarray(at, at + CHUNK - used);
        buffer.set(part, used);
        used += part.byteLength;
        at += part.byteLength;
        if (used === CHUNK) {
          yield buffer;
          used = 0;
        }
      }
      if (length === 0) continue;
      const fd = openContent({ root, side, moved }, { path, file: files++ });
      try {
        for (let rest = length; rest > 0; ) {
          const got = readSync(fd, buffer, used, Math.min(CHUNK - used, rest), null);
          if (got === 0) throw new NaruError('corrupt', `layer file ${textFromRaw(path)} is shorter than it was`);
          used += got;
          rest -= got;
          if (used === CHUNK) {
            yield buffer;
            used = 0;
          }
        }
      } finally {
        closeSync(fd);
      }
    }
    if (used > 0) yield buffer.subarray(0, used);
  } finally {
    closeSync(root);
    if (side >= 0) closeSync(side);
  }
}

function openContent(places: { root: number; side: number; moved: readonly Moved[] }, { path, file }: { path: string; file: number }): number {
  // The first replacement after this entry that took the name, or a directory on the way to it.
  const taken = places.moved.find((m) => m.before > file && (path === m.path || path.startsWith(`${m.path}/`)));
  const fd = taken === undefined
    ? openInRoot(places.root, path, { flags: O_RDONLY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS })
    : path === taken.path
      ? openAt(places.side, String(taken.number), O_RDONLY | O_NOFOLLOW)
      : openInRoot(places.side, `${taken.number}${path.slice(taken.path.length)}`, { flags: O_RDONLY | O_NOFOLLOW, resolve: RESOLVE_NO_SYMLINKS });
  return check(fd, `open layer file ${textFromRaw(path)}`);
}
