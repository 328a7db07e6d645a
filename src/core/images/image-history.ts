import type { ImageRecord, ImageStore } from '../store.ts';

type HistoryRow = ReturnType<ImageStore['history']>[number];

/** History entries of the config, newest first, each with the layer that it made. Configs without history get one entry for
 *  each layer. */
export function imageHistory({ config, layerSizes }: Pick<ImageRecord, 'config' | 'layerSizes'>): HistoryRow[] {
  const rows: HistoryRow[] = [];
  let next = 0;
  const layer = (): Pick<HistoryRow, 'layer' | 'size'> =>
    next < layerSizes.length ? { layer: next, size: layerSizes[next++]! } : { layer: undefined, size: 0 };
  for (const entry of config.history ?? []) {
    rows.push({
      ...(entry.empty_layer === true ? { layer: undefined, size: 0 } : layer()),
      created: entry.created ?? '', createdBy: entry.created_by ?? '', comment: entry.comment ?? '',
    });
  }
  while (next < layerSizes.length) rows.push({ ...layer(), created: config.created ?? '', createdBy: '', comment: '' });
  return rows.reverse();
}
