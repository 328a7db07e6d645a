import { NaruError } from '#spec/errors.ts';
import { nodePath } from '../on-demand.ts';

export interface VolumeSpecs { readonly binds: string[]; readonly anonymous: Record<string, object> }

/** `-v` as the API's binds (source:path[:options]) and anonymous volumes (path). */
export function parseVolumes(specs: readonly string[]): VolumeSpecs {
  const binds: string[] = [];
  const anonymous: Record<string, object> = {};
  for (const spec of new Set(specs)) {
    const source = volumeSource(spec);
    if (source === undefined) {
      anonymous[spec] = {};
      continue;
    }
    // Relative directories are relative to here; the daemon is elsewhere.
    binds.push(source.startsWith('.') ? `${nodePath().resolve(source)}${spec.slice(source.length)}` : spec);
  }
  return { binds, anonymous };
}

/** The part before the first colon, checked; undefined for a volume without a source. */
function volumeSource(spec: string): string | undefined {
  if (spec === '') throw new NaruError('invalid', 'invalid empty volume spec');
  if (spec.length <= 2) return undefined;
  const parts = spec.split(':');
  if (parts.includes('')) throw new NaruError('invalid', `invalid spec: ${spec}: empty section between colons`);
  if (parts.length > 3) throw new NaruError('invalid', `invalid spec: ${spec}: too many colons`);
  return parts.length === 1 ? undefined : parts[0];
}
