import { join } from 'node:path';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from './container.ts';

type Roots = Pick<EngineContext, 'dataRoot' | 'stateRoot' | 'cgroupParent'>;

/** What survives a reboot: log, exit records. Made at the first start. */
export const containerDirectory = ({ dataRoot }: Roots, id: string): string => join(dataRoot, 'containers', id);

/** What a reboot ends: the shim's socket, hosts, hostname, resolv.conf. The id is cut so that a socket's path fits in sun_path. */
export const stateDirectory = ({ stateRoot }: Roots, id: string): string => join(stateRoot, 'c', id.slice(0, 24));

/** The record of this run's end. Of a container that goes with its end, it need not survive a reboot. */
export const exitFile = (roots: Roots, container: Container, run: number = container.state.run): string =>
  container.doc.hostConfig.AutoRemove === true
    ? join(stateDirectory(roots, container.id), `exit.${run}`)
    : join(containerDirectory(roots, container.id), `exit.${run}`);

export const logPath = (roots: Roots, id: string): string => join(containerDirectory(roots, id), 'log');

/** Absolute within each hierarchy. */
export function cgroupPath({ cgroupParent }: Roots, container: Container): string {
  const parent = container.doc.hostConfig.CgroupParent || cgroupParent;
  return `/${`${parent}/${container.id}`.split('/').filter((part) => part !== '' && part !== '.').join('/')}`;
}
