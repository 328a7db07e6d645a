import { NaruError } from '#spec/errors.ts';
import type { HostConfig } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { ContainerLink } from '../container.ts';
import { networkOf } from './validate-modes.ts';

/** `--link name[:alias]` on the default bridge; elsewhere links belong to the network. Throws invalid in Docker's words. */
export function resolveLinks(engine: EngineContext, host: HostConfig): ContainerLink[] {
  if (networkOf(host) !== 'bridge') return [];
  return (host.Links ?? []).map((text) => {
    const [name = '', alias = name, ...rest] = text.split(':');
    if (name === '' || rest.length > 0) throw new NaruError('invalid', `bad format for links: ${text}`);
    const target = engine.containers.tryFind(name);
    if (target === undefined) throw new NaruError('invalid', `could not get container for ${name}: No such container: ${name}`);
    if (target.doc.hostConfig.NetworkMode === 'host') throw new NaruError('invalid', 'conflicting options: host type networking can\'t be used with links. This would result in undefined behavior');
    // Docker's own client sends a link's full names of old: `/name:/self/alias`.
    return { id: target.id, alias: alias.slice(alias.lastIndexOf('/') + 1) };
  });
}
