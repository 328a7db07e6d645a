import { readFileSync } from 'node:fs';
import { cleanPath } from '#runtime/compile/clean-path.ts';
import { readMounts } from '#runtime/compile/compile-mounts.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

/** A mount whose source lies outside of the container: where it is inside, and what is mounted there again. */
export interface ExternalMount { readonly destination: string; readonly source: string }

/** Of the configuration: its bind mounts, with the sources that this bundle has. */
export const boundMounts = (spec: OciSpec): ExternalMount[] =>
  readMounts(spec).filter((step) => step.kind === 'bind').map(({ mount }) => ({ destination: cleanPath(mount.destination), source: mount.source! }));

/** Of a running container, what the configuration does not name: nodes of the host's /dev (masked files, bound devices), and v1's
 *  cgroups. */
export function kernelMounts(pid: number, groupPath: string): ExternalMount[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n').filter(Boolean).flatMap((line): ExternalMount[] => {
    const [before, after] = line.split(' - ') as [string, string];
    const [, , , root, destination] = before.split(' ').map(unescape) as [string, string, string, string, string];
    const [type, , options] = after.split(' ') as [string, string, string];
    if (type === 'devtmpfs') return [{ destination, source: cleanPath(`/dev/${root}`) }];
    if (type !== 'cgroup') return [];
    const controller = options.split(',').filter((o) => o !== 'rw' && o !== 'ro').map((o) => o.replace(/^name=/, '')).join(',');
    return [{ destination, source: `/sys/fs/cgroup/${controller}${root === '/' ? '' : groupPath}` }];
  });
}

/** As /proc writes them: `\040` for a blank. */
const unescape = (text: string): string => text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
