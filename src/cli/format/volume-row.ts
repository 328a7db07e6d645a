import type { Volume } from '#spec/engine-api.ts';
import { humanSize } from './human-size.ts';
import type { Row } from './table.ts';

export const VOLUME_HEADERS: Readonly<Record<string, string>> = {
  ID: 'ID', Name: 'VOLUME NAME', Group: 'GROUP', Driver: 'DRIVER', Scope: 'SCOPE', Availability: 'AVAILABILITY', Mountpoint: 'MOUNTPOINT', Labels: 'LABELS', Links: 'LINKS', Size: 'SIZE', Status: 'STATUS',
};

/** A volume's columns. */
export function volumeRow(volume: Volume): Row {
  const labels = volume.Labels ?? {};
  return {
    Availability: 'N/A', Driver: volume.Driver, Group: 'N/A', Labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(','), Label: (name: string) => labels[name] ?? '',
    Links: volume.UsageData === undefined || volume.UsageData === null ? 'N/A' : String(volume.UsageData.RefCount), Mountpoint: volume.Mountpoint, Name: volume.Name, Scope: volume.Scope,
    Size: volume.UsageData === undefined || volume.UsageData === null ? 'N/A' : humanSize(volume.UsageData.Size), Status: 'N/A',
  };
}
