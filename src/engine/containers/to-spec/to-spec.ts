import type { OciSpec } from '#spec/oci-runtime.ts';
import { buildDevices } from './build-devices.ts';
import { buildMounts } from './build-mounts.ts';
import { buildNamespaces } from './build-namespaces.ts';
import { buildProcess } from './build-process.ts';
import { buildResources } from './build-resources.ts';
import { buildSecurity } from './build-security.ts';
import { noteFlags } from './flag-sources.ts';
import { newDraft, type SpecBuilder, type SpecInput } from './spec-draft.ts';

/** In this order: each may read what those before it made. */
const BUILDERS: readonly SpecBuilder[] = [buildProcess, buildNamespaces, buildMounts, buildDevices, buildResources, buildSecurity];

/** Docker's configuration in OCI's words, and which flag each part comes from. A function of its input: it asks nobody anything but
 *  through it. */
export function toSpec(input: SpecInput): { spec: OciSpec; sources: ReadonlyMap<string, string> } {
  const draft = newDraft(input);
  for (const build of BUILDERS) build(draft, input);
  noteFlags(draft, input);
  return draft;
}
