import { NaruError } from '#spec/errors.ts';
import type { HostConfig, Resources, RestartPolicy } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { cgroupPath } from '../container-paths.ts';
import { saveDoc } from '../container-rows.ts';
import { normalizeHostConfig } from '../create/default-host-config.ts';
import { validateResources } from '../create/validate-resources.ts';
import { validateRestartPolicy } from '../create/validate-host-config.ts';
import { toOciResources } from '../to-spec/build-resources.ts';
import { blockDevice } from '../to-spec/host-devices.ts';

/** What `docker update` can change. */
const KEYS = [
  'CpuShares', 'Memory', 'BlkioWeight', 'BlkioWeightDevice', 'BlkioDeviceReadBps', 'BlkioDeviceWriteBps', 'BlkioDeviceReadIOps', 'BlkioDeviceWriteIOps',
  'CpuPeriod', 'CpuQuota', 'CpuRealtimePeriod', 'CpuRealtimeRuntime', 'CpusetCpus', 'CpusetMems', 'MemoryReservation', 'MemorySwap', 'NanoCpus', 'PidsLimit',
] as const;

/** Changes limits, of a running container at once, and the restart policy. Throws invalid for limits that make no sense. */
export function updateContainer(engine: EngineContext, container: Container, change: Resources & { RestartPolicy?: RestartPolicy }): Promise<{ Warnings: string[] }> {
  return container.mutex.run('update', async () => {
    const { doc, state } = container;
    if (state.status === 'removing' || state.status === 'dead') throw cannotUpdate(container, 'container is marked for removal and cannot be "update"');
    if (change.RestartPolicy?.Name) {
      validateRestartPolicy(change.RestartPolicy);
      if (doc.hostConfig.AutoRemove === true && change.RestartPolicy.Name !== 'no') {
        throw cannotUpdate(container, 'Restart policy cannot be updated because AutoRemove is enabled for the container');
      }
    }
    const limits: Resources = {};
    for (const key of KEYS) {
      const value = change[key];
      if (value !== undefined && value !== null && value !== 0 && value !== '' && !(Array.isArray(value) && value.length === 0)) (limits as Record<string, unknown>)[key] = value;
    }
    const before = doc.hostConfig;
    if (limits.NanoCpus !== undefined && ((before.CpuPeriod ?? 0) > 0 || (before.CpuQuota ?? 0) > 0)) {
      throw cannotUpdate(container, `Conflicting options: Nano CPUs cannot be updated as CPU ${(before.CpuPeriod ?? 0) > 0 ? 'Period' : 'Quota'} has already been set`);
    }
    if ((limits.CpuPeriod !== undefined || limits.CpuQuota !== undefined) && (before.NanoCpus ?? 0) > 0) {
      throw cannotUpdate(container, `Conflicting options: CPU ${limits.CpuPeriod === undefined ? 'Quota' : 'Period'} cannot be updated as NanoCPUs has already been set`);
    }
    if (limits.Memory !== undefined && limits.MemorySwap === undefined && limits.Memory > (before.MemorySwap ?? 0) && (before.MemorySwap ?? 0) > 0) {
      throw cannotUpdate(container, 'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time');
    }
    const warnings = validateResources(limits, { current: before, realtime: engine.tasks.host.realtime === true });
    const merged: HostConfig = normalizeHostConfig({ ...before, ...limits });
    if (change.RestartPolicy?.Name) merged.RestartPolicy = { Name: change.RestartPolicy.Name, MaximumRetryCount: change.RestartPolicy.MaximumRetryCount ?? 0 };
    if (container.task !== undefined && Object.keys(limits).length > 0) {
      const resources = toOciResources(limits, { blockDevice, cgroupVersion: engine.tasks.host.cgroupVersion, note: () => undefined });
      await engine.tasks.update(cgroupPath(engine, container), resources).catch((error: unknown) => {
        throw error instanceof NaruError ? cannotUpdate(container, error.message, error) : error;
      });
    }
    doc.hostConfig = merged;
    container.request = undefined;
    saveDoc(engine.store.db, container);
    containerEvent(engine, container, 'update');
    return { Warnings: warnings };
  });
}

const cannotUpdate = ({ id }: Container, why: string, cause?: NaruError): NaruError =>
  new NaruError(cause?.kind ?? 'conflict', `Cannot update container ${id}: ${why}`, cause === undefined ? {} : { cause, ...(cause.hint === undefined ? {} : { hint: cause.hint }) });
