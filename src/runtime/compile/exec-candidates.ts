/**
 * The paths that exec tries, in order: `name` itself when it has a slash (relative to the working directory), else one for
 * each absolute entry of PATH. Relative and empty entries are left out, as Go's exec.LookPath (and so runc) refuses them.
 * Empty when there is no PATH. The last PATH in the environment counts.
 */
export function execCandidates(name: string, env: readonly string[]): string[] {
  if (name === '' || name.includes('/')) return name === '' ? [] : [name];
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice(5) ?? '';
  const candidates: string[] = [];
  for (const directory of path.split(':')) {
    if (directory.startsWith('/')) candidates.push(`${directory === '/' ? '' : directory.replace(/\/+$/, '')}/${name}`);
  }
  return candidates;
}
