import { existsSync } from 'node:fs';
import { groupDirectory } from '#runtime/cgroups/cgroup-path.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';
import { NaruError } from '#spec/errors.ts';

/**
 * exec --cgroup, as runc has it: `sub` (in every hierarchy), or `controller[,controller]:sub` for each of v1's that shall be another; below the
 * container's own group, where it must exist. The result is what is added to the group's path in each hierarchy, by its name. Throws
 * `invalid`.
 */
export function subCgroups(words: readonly string[], host: CgroupHost, groupPath: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const word of words) {
    const fail = (problem: string): never => {
      throw new NaruError('invalid', `--cgroup ${JSON.stringify(word)}: ${problem}`);
    };
    const [first, second, ...more] = word.split(':') as [string, string?, ...string[]];
    if (more.length > 0) fail('use [controller:]path');
    const sub = (second ?? first).replace(/^\/+/, '');
    if (sub.split('/').includes('..')) fail('leads out of the container\'s group');
    if (second === undefined && words.length > 1) fail('a path without a controller must be the only one');
    const hierarchies = second === undefined ? host.hierarchies : new Set(first.split(',').map((controller) => host.hierarchies.find((h) => h.controllers.includes(controller) || h.name === controller || h.options.includes(controller)) ?? fail(`this machine has no hierarchy of ${JSON.stringify(controller)}`)));
    for (const hierarchy of hierarchies) {
      if (found.has(hierarchy.name)) fail(`the hierarchy ${hierarchy.name} is named twice`);
      const directory = `${groupDirectory(hierarchy, groupPath)}/${sub}`;
      if (!existsSync(directory)) fail(`there is no ${directory}`);
      found.set(hierarchy.name, `/${sub}`);
    }
  }
  return found;
}
