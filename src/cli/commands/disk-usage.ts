import type { DiskUsage } from '#spec/engine-api.ts';
import type { CommandRunner } from '../command.ts';
import { familiarName, parseImageReference } from '../create/image-reference.ts';
import { CONTAINER_HEADERS, containerRow } from '../format/container-row.ts';
import { humanSize } from '../format/human-size.ts';
import { humanAge } from '../format/human-time.ts';
import { IMAGE_HEADERS, imageRow, isDangling } from '../format/image-row.ts';
import { parseFormat, renderTable, shortId, type Row } from '../format/table.ts';
import { VOLUME_HEADERS, volumeRow } from '../format/volume-row.ts';

const HEADERS = { Type: 'TYPE', TotalCount: 'TOTAL', Active: 'ACTIVE', Size: 'SIZE', Reclaimable: 'RECLAIMABLE' };
const CACHE_HEADERS = { ID: 'CACHE ID', CacheType: 'CACHE TYPE', Size: 'SIZE', CreatedSince: 'CREATED', LastUsedSince: 'LAST USED', UsageCount: 'USAGE', Shared: 'SHARED' };
interface CacheRecord { ID: string; Type: string; Size: number; CreatedAt: string; LastUsedAt?: string | null; UsageCount: number; Shared: boolean; InUse: boolean; Description?: string }

/** `system df`. */
export const diskUsage: CommandRunner = async ({ client, flags, io }) => {
  const usage = await client().system.diskUsage();
  const format = flags.string('format') || 'table';
  if (!flags.bool('verbose')) {
    const standard = format === 'table' ? 'table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}' : format === 'raw' ? 'type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n' : format;
    io.out(renderTable(summary(usage), { format: standard, headers: HEADERS, goType: '*formatter.diskUsageContext' }));
    return 0;
  }
  const trunc = format === 'table';
  const rows = details(usage, trunc);
  if (trunc) io.out(verboseText(usage, rows));
  else io.out(`${parseFormat(format === 'json' ? '{{json .}}' : format).execute(rows)}`);
  return 0;
};

const cacheOf = (usage: DiskUsage): CacheRecord[] => (usage.BuildCache ?? []) as unknown as CacheRecord[];
const share = (part: number, whole: number): string => (whole > 0 ? `${humanSize(part)} (${Math.trunc((part * 100) / whole)}%)` : humanSize(part));

function summary(usage: DiskUsage): Row[] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = usage.Volumes ?? [];
  const cache = cacheOf(usage);
  const sum = <T>(items: readonly T[], size: (item: T) => number): number => items.reduce((total, item) => total + size(item), 0);
  const usedImages = sum(images, (image) => (image.Containers !== 0 && image.Size !== -1 && image.SharedSize !== -1 ? image.Size - image.SharedSize : 0));
  const active = containers.filter((container) => ['running', 'paused', 'restarting'].includes(container.State));
  const containerSize = sum(containers, (container) => container.SizeRw ?? 0);
  const volumeSize = sum(volumes, (volume) => Math.max(0, volume.UsageData?.Size ?? 0));
  const freeVolumes = sum(volumes, (volume) => (volume.UsageData?.RefCount === 0 ? Math.max(0, volume.UsageData.Size) : 0));
  const cacheSize = sum(cache, (record) => (record.Shared ? 0 : record.Size));
  const cacheInUse = sum(cache, (record) => (record.InUse && !record.Shared ? record.Size : 0));
  return [
    { Type: 'Images', TotalCount: String(images.length), Active: String(images.filter((image) => image.Containers > 0).length), Size: humanSize(usage.LayersSize), Reclaimable: share(usage.LayersSize - usedImages, usage.LayersSize) },
    { Type: 'Containers', TotalCount: String(containers.length), Active: String(active.length), Size: humanSize(containerSize), Reclaimable: share(containerSize - sum(active, (container) => container.SizeRw ?? 0), containerSize) },
    { Type: 'Local Volumes', TotalCount: String(volumes.length), Active: String(volumes.filter((volume) => (volume.UsageData?.RefCount ?? 0) > 0).length), Size: humanSize(volumeSize), Reclaimable: share(freeVolumes, volumeSize) },
    { Type: 'Build Cache', TotalCount: String(cache.length), Active: String(cache.filter((record) => record.InUse).length), Size: humanSize(cacheSize), Reclaimable: humanSize(cacheSize - cacheInUse) },
  ];
}

function details(usage: DiskUsage, trunc: boolean): { Images: Row[]; Containers: Row[]; Volumes: Row[]; BuildCache: Row[] } {
  const images = (usage.Images ?? []).map((image) => {
    let [repo, tag] = ['<none>', '<none>'];
    if (image.RepoTags?.[0] !== undefined && !isDangling(image)) {
      const reference = parseImageReference(image.RepoTags[0]);
      if (reference.tag !== undefined) [repo, tag] = [familiarName(reference), reference.tag];
    }
    return imageRow(image, repo, tag, '', trunc);
  });
  const cache = cacheOf(usage).map((record): Row => ({
    ID: `${trunc ? shortId(record.ID) : record.ID}${record.InUse ? '*' : ''}`, CacheType: record.Type, Size: humanSize(record.Size, 3), CreatedSince: humanAge(Date.parse(record.CreatedAt) / 1000),
    LastUsedSince: record.LastUsedAt === undefined || record.LastUsedAt === null ? '' : humanAge(Date.parse(record.LastUsedAt) / 1000), UsageCount: String(record.UsageCount), Shared: String(record.Shared), Description: record.Description ?? '', InUse: String(record.InUse),
  }));
  return { Images: images, Containers: (usage.Containers ?? []).map((container) => containerRow({ ...container, SizeRootFs: 0 }, trunc)), Volumes: (usage.Volumes ?? []).map(volumeRow), BuildCache: cache };
}

function verboseText(usage: DiskUsage, rows: ReturnType<typeof details>): string {
  const table = (part: readonly Row[], columns: readonly string[], headers: Readonly<Record<string, string>>): string => renderTable(part, { format: `table ${columns.map((column) => `{{.${column}}}`).join('\t')}`, headers, goType: 'struct' });
  const cacheSize = cacheOf(usage).reduce((total, record) => total + (record.Shared ? 0 : record.Size), 0);
  return [
    `Images space usage:\n\n${table(rows.Images, ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size', 'SharedSize', 'UniqueSize', 'Containers'], IMAGE_HEADERS)}`,
    `Containers space usage:\n\n${table(rows.Containers, ['ID', 'Image', 'Command', 'LocalVolumes', 'Size', 'RunningFor', 'Status', 'Names'], CONTAINER_HEADERS)}`,
    `Local Volumes space usage:\n\n${table(rows.Volumes, ['Name', 'Links', 'Size'], VOLUME_HEADERS)}`,
    `Build cache usage: ${humanSize(cacheSize)}\n\n${table(rows.BuildCache, ['ID', 'CacheType', 'Size', 'CreatedSince', 'LastUsedSince', 'UsageCount', 'Shared'], CACHE_HEADERS)}`,
  ].join('\n');
}
