import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { Resources } from '#spec/engine-api.ts';
import { parseCpuList } from './cpu-list.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

export const MINIMUM_MEMORY = 6 * 1024 * 1024;

const ULIMITS = new Set([
  'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack',
]);

/** Limits that make no sense, each refused in Docker's words. `current`: the limits before, for an update; `realtime`: the kernel can
 *  share out real time. Returns warnings. */
export function validateResources(resources: Resources, { current = {}, realtime = true }: { current?: Resources; realtime?: boolean } = {}): string[] {
  const warnings: string[] = [];
  checkMemory({ ...definedOnly(current), ...definedOnly(resources) });
  checkCpu({ ...definedOnly(current), ...definedOnly(resources) });
  checkRealtime({ ...definedOnly(current), ...definedOnly(resources) }, realtime);
  checkBlockIo(resources);
  for (const ulimit of resources.Ulimits ?? []) {
    if (!ULIMITS.has(ulimit.Name)) throw invalid(`invalid ulimit type: ${ulimit.Name}`);
    if (ulimit.Hard !== -1 && (ulimit.Soft > ulimit.Hard || ulimit.Soft === -1)) {
      throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${ulimit.Soft} > ${ulimit.Hard}`);
    }
  }
  warnings.push(...dropWeights(resources));
  const request = (resources.DeviceRequests ?? [])[0];
  if (request !== undefined) {
    const wanted = (request.Capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ');
    throw new NaruError('invalid', `could not select device driver ${JSON.stringify(request.Driver ?? '')} with capabilities: [${wanted}]`, {
      hint: 'there are no GPU or CDI device drivers on this engine',
    });
  }
  if ((resources.KernelMemory ?? 0) > 0) warnings.push('Specifying a kernel memory limit is deprecated and will be removed in a future release.');
  if (resources.OomKillDisable === true && !resources.Memory) {
    warnings.push('OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.');
  }
  return warnings;
}

/** Weights of devices whose scheduler knows none, as Docker: dropped with a warning. */
function dropWeights(resources: Resources): string[] {
  const weights = resources.BlkioWeightDevice ?? [];
  const kept = weights.filter(({ Path }) => knowsWeights(Path));
  if (kept.length === weights.length) return [];
  resources.BlkioWeightDevice = kept;
  return ['Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.'];
}

function knowsWeights(device: string): boolean {
  try {
    const path = realpathSync(device);
    return readFileSync(`/sys/class/block/${basename(path)}/queue/scheduler`, 'utf8').includes('[bfq]');
  } catch {
    return existsSync(device) === false; // what is not there is told by its own name later
  }
}

/** Zero means "not given" in the API. */
function definedOnly(resources: Resources): Resources {
  return Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined && value !== null && value !== 0 && value !== '')) as Resources;
}

function checkMemory({ Memory = 0, MemorySwap = 0, MemoryReservation = 0, MemorySwappiness }: Resources): void {
  if (Memory < 0 || (Memory > 0 && Memory < MINIMUM_MEMORY)) throw invalid('Minimum memory limit allowed is 6MB');
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory) throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (Memory === 0 && MemorySwap > 0) throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (MemorySwappiness !== undefined && MemorySwappiness !== null && MemorySwappiness !== -1 && (MemorySwappiness < 0 || MemorySwappiness > 100)) {
    throw invalid(`Invalid value: ${MemorySwappiness}, valid memory swappiness range is 0-100`);
  }
  if (MemoryReservation !== 0 && MemoryReservation < MINIMUM_MEMORY) throw invalid('Minimum memory reservation allowed is 6MB');
  if (Memory > 0 && MemoryReservation > Memory) throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
}

function checkCpu({ NanoCpus = 0, CpuPeriod = 0, CpuQuota = 0, CpuShares = 0, CpusetCpus = '', CpusetMems = '' }: Resources): void {
  if (NanoCpus !== 0) {
    if (CpuPeriod > 0) throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
    if (CpuQuota > 0) throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
    const cpus = availableParallelism();
    if (NanoCpus < 0 || NanoCpus > cpus * 1e9 || NanoCpus < 1e7) {
      throw invalid(`range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
    }
  }
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000)) {
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (CpuQuota > 0 && CpuQuota < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (CpuShares < 0) throw invalid(`invalid CPU shares (${CpuShares}): value must be a positive integer`);
  checkSet(CpusetCpus, '/sys/devices/system/cpu/online', ['cpuset cpus', 'CPUs']);
  checkSet(CpusetMems, '/sys/devices/system/node/online', ['cpuset mems', 'memory nodes']);
}

function checkRealtime({ CpuRealtimePeriod = 0, CpuRealtimeRuntime = 0 }: Resources, supported: boolean): void {
  if ((CpuRealtimePeriod !== 0 || CpuRealtimeRuntime !== 0) && !supported) throw invalid('kernel does not support CPU real-time scheduler');
  if (CpuRealtimePeriod !== 0 && CpuRealtimeRuntime > CpuRealtimePeriod) throw invalid('cpu real-time runtime cannot be higher than cpu real-time period');
}

function checkSet(list: string, file: string, [what, things]: readonly [string, string]): void {
  if (list === '') return;
  const wanted = parseCpuList(list);
  if (wanted === undefined) throw invalid(`Invalid value ${list} for ${what}`);
  let online = '0';
  try {
    online = readFileSync(file, 'utf8').trim();
  } catch {
    // no NUMA: node 0 is all there is
  }
  const available = parseCpuList(online) ?? new Set([0]);
  for (const item of wanted) {
    if (!available.has(item)) throw invalid(`Requested ${things} are not available - requested ${list}, available: ${online}`);
  }
}

function checkBlockIo(resources: Resources): void {
  const weights = [resources.BlkioWeight ?? 0, ...(resources.BlkioWeightDevice ?? []).map((device) => device.Weight)];
  if (weights.some((weight) => weight !== 0 && (weight < 10 || weight > 1000))) throw invalid('Range of blkio weight is from 10 to 1000');
  const lists: readonly (readonly { Path: string }[] | null | undefined)[] = [
    resources.BlkioWeightDevice, resources.BlkioDeviceReadBps, resources.BlkioDeviceWriteBps, resources.BlkioDeviceReadIOps, resources.BlkioDeviceWriteIOps,
  ];
  const paths = lists.flatMap((list) => list ?? []).map((device) => device.Path);
  const relative = paths.find((path) => !path.startsWith('/'));
  if (relative !== undefined) throw invalid(`bad format for device path: ${relative}`);
}
