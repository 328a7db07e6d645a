import { NaruError } from '#spec/errors.ts';
import type { Filters, PruneReport } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { checkFilterKeys, matchesLabels, untilFilter } from '../filters/match-filters.ts';
import { parseTime } from '../time/timestamps.ts';
import { removeContainer } from './life/remove-container.ts';

const KEYS = new Set(['label', 'label!', 'until']);

/** Removes every container that does not run. What cannot be removed now is left. */
export async function pruneContainers(engine: EngineContext, filters: Filters): Promise<PruneReport> {
  checkFilterKeys(filters, KEYS);
  const until = untilFilter(filters);
  const report: PruneReport & { ContainersDeleted: string[] } = { ContainersDeleted: [], SpaceReclaimed: 0 };
  for (const container of engine.containers.all()) {
    const { status, creating } = container.state;
    if (!['created', 'exited', 'dead'].includes(status) || creating === true || container.mutex.held || !matchesLabels(filters, container.labels)) continue;
    if (until !== undefined && (parseTime(container.doc.created) ?? 0n) >= until) continue;
    try {
      const { size } = await engine.store.snapshots.usage(container.id);
      await removeContainer(engine, container, { force: false, volumes: false });
      report.ContainersDeleted.push(container.id);
      report.SpaceReclaimed += size;
    } catch (error) {
      if (!(error instanceof NaruError) || !['conflict', 'not-found'].includes(error.kind)) engine.report(error, `prune container ${container.name}`);
    }
  }
  engine.events.emit('container', 'prune', { id: '', attributes: { reclaimed: String(report.SpaceReclaimed) } });
  return report;
}
