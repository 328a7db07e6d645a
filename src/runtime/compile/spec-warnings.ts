import type { OciSpec } from '#spec/oci-runtime.ts';
import { CAPABILITIES, isCapability } from '#runtime/capabilities/capabilities.ts';
import { hierarchyOf } from '#runtime/cgroups/cgroup-path.ts';
import { hasFile } from '#runtime/cgroups/limit-write.ts';
import { KERNEL_LIMIT } from '#runtime/cgroups/limits-v1.ts';
import { isBind } from './compile-mounts.ts';
import { parseMountOptions } from './mount-options.ts';
import type { CompileHost } from './compile-host.ts';

/** What the specification wants told, but not refused: one sentence each, with the JSON pointer of the field. */
export function specWarnings({ process, linux, mounts }: OciSpec, host: Pick<CompileHost, 'capabilities' | 'cgroups'>): string[] {
  const warnings: string[] = [];
  const ownUsers = linux?.namespaces?.some((n) => n.type === 'user') === true;
  const told = new Set<string>();
  for (const [set, names] of Object.entries(process?.capabilities ?? {})) {
    names?.forEach((name, i) => {
      if (told.has(name)) return;
      const pointer = `/process/capabilities/${set}/${i}`;
      if (!isCapability(name)) warnings.push(`${pointer}: unknown capability ${JSON.stringify(name)} is left out`);
      else if (!ownUsers && set !== 'bounding' && ((host.capabilities >> BigInt(CAPABILITIES.indexOf(name as never))) & 1n) === 0n) warnings.push(`${pointer}: ${name} cannot be granted, naru itself does not have it`);
      else return;
      told.add(name);
    });
  }
  mounts?.forEach((mount, i) => {
    const options = parseMountOptions(mount.options);
    if (!isBind(mount, options)) return;
    for (const option of options.data) {
      if (!option.startsWith('x-')) warnings.push(`/mounts/${i}/options/${mount.options!.indexOf(option)}: ${JSON.stringify(option)} means nothing to a bind mount`);
    }
  });
  if (linux?.resources?.memory?.kernel) {
    const memory = hierarchyOf(host.cgroups, 'memory');
    if (memory === undefined || memory.unified || hasFile(memory, KERNEL_LIMIT) !== true) warnings.push('/linux/resources/memory/kernel: this kernel has no such limit, it is left out');
  }
  return warnings;
}
