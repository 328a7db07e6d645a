import type { Trees } from '../tree-port.ts';
import { copyTree } from './copy-tree.ts';
import { packTree } from './pack-tree.ts';
import { packedName } from './packed-name.ts';
import { readTreeFile } from './read-tree-file.ts';
import { readLinkText, statPath } from './stat-path.ts';
import { unpackTree } from './unpack-tree.ts';
import { rawFromText } from '#sys/files.ts';

/** The Trees port over this kernel. */
export const openTrees = (): Trees => ({
  stat: statPath,
  pack: (root, path, name) => packTree(root, { path: rawFromText(path), name: name === undefined ? packedName(path) : rawFromText(name), closeRoot: false }),
  unpack: unpackTree,
  copyInto: copyTree,
  readFile: readTreeFile,
  readLink: readLinkText,
});
