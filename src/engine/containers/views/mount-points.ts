import type { MountPoint } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';

/** The mounts as inspect and ps show them; those of `--tmpfs` are in the host configuration only, as with Docker. */
export function mountPoints({ volumes }: EngineContext, { doc }: Container): MountPoint[] {
  return doc.mounts
    .filter((mount) => !mount.flag.startsWith('--tmpfs'))
    .map((mount) => ({
      Type: mount.type, ...(mount.name === undefined ? {} : { Name: mount.name }),
      Source: mount.type === 'volume' ? volumes.dataPath(mount.name!) : mount.source, Destination: mount.destination,
      ...(mount.driver === undefined ? {} : { Driver: mount.driver }), Mode: mount.mode, RW: mount.rw, Propagation: mount.propagation,
    }));
}
