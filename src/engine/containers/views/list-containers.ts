import { NaruError } from '#spec/errors.ts';
import type { ContainerSummary } from '#spec/engine-api.ts';
import type { ListOptions } from '#api/engine-port.ts';
import type { EngineContext } from '../../engine-context.ts';
import { toMilliseconds } from '../../time/timestamps.ts';
import type { Container } from '../container.ts';
import { countsAsRunning } from '../container-state.ts';
import { containerFilter } from './container-filters.ts';
import { containerSizes } from './inspect-container.ts';
import { mountPoints } from './mount-points.ts';
import { networksOf, portSummaries } from './network-view.ts';
import { shownStatus, statusText } from './status-text.ts';

/** `ps`: newest first. Reads memory only, except for the sizes. Throws invalid for bad filters. */
export async function listContainers(engine: EngineContext, { all, limit, size, filters }: ListOptions): Promise<ContainerSummary[]> {
  if (limit < 0 && limit !== -1) throw new NaruError('invalid', `invalid limit: ${limit}`);
  const accepts = containerFilter(engine, filters);
  const stopped = all || limit > 0 || (filters.get('status') ?? []).length > 0;
  const chosen: Container[] = [];
  for (const container of sortNewestFirst(engine.containers.all())) {
    if (container.state.creating === true) continue;
    if (!stopped && !countsAsRunning(container.state.status)) continue;
    if (!accepts(container)) continue;
    chosen.push(container);
    if (limit > 0 && chosen.length === limit) break;
  }
  const summaries = chosen.map((container) => summarize(engine, container));
  if (size) {
    await Promise.all(chosen.map(async (container, i) => {
      try {
        Object.assign(summaries[i]!, await containerSizes(engine, container));
      } catch {
        // it was removed meanwhile
      }
    }));
  }
  return summaries;
}

export const sortNewestFirst = (containers: Container[]): Container[] =>
  containers.sort((a, b) => (a.doc.created < b.doc.created ? 1 : a.doc.created > b.doc.created ? -1 : 0));

/** One line of `ps`. */
export function summarize(engine: EngineContext, container: Container): ContainerSummary {
  const { doc } = container;
  return {
    Id: container.id, Names: [`/${container.name}`], Image: imageText(engine, container), ImageID: doc.imageId,
    Command: [doc.path, ...doc.args].map((arg, i) => (i > 0 && arg.includes(' ') ? `'${arg}'` : arg)).join(' '),
    Created: Math.floor(toMilliseconds(doc.created) / 1000), Ports: portSummaries(container), Labels: container.labels,
    State: shownStatus(container), Status: statusText(container),
    HostConfig: { NetworkMode: doc.hostConfig.NetworkMode ?? 'bridge', ...(doc.hostConfig.Annotations ? { Annotations: doc.hostConfig.Annotations } : {}) },
    NetworkSettings: { Networks: networksOf(engine, container) }, Mounts: mountPoints(engine, container),
  };
}

/** The name that the user gave, unless it means another image by now. */
function imageText({ store }: EngineContext, { doc }: Container): string {
  if (doc.imageId === '') return doc.hostConfig['naru.Rootfs'] ?? '';
  return store.images.find(doc.imageName)?.id === doc.imageId ? doc.imageName : doc.imageId;
}

