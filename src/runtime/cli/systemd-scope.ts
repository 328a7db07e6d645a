import { spawn } from 'node:child_process';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';
import { limitProperties, scopeProperties } from '#runtime/systemd/scope-properties.ts';
import { hasSession, SystemdManager } from '#runtime/systemd/systemd-manager.ts';
import { systemdUnit } from '#runtime/systemd/unit-name.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciResources, OciSpec } from '#spec/oci-runtime.ts';
import { closeQuietly, sealedMemfd, socketpair } from '#sys/descriptors.ts';
import { inUserNamespace } from './user-namespace.ts';

/** Who is not the machine's root has a systemd of his own. Root of a user namespace is somebody's (a rootless engine's), or that of a
 *  whole system in it: then there is no session. */
const isUser = (): boolean => process.geteuid!() !== 0 || (inUserNamespace() && hasSession());

/** A container's scope (or slice) before its first process is there. */
export interface PendingScope {
  readonly unit: string;
  /** Its cgroup, which systemd makes. */
  readonly cgroupPath: string;
  /** Afterwards the group is there, held by a process of ours until `settle`. */
  start(): Promise<void>;
  /** The container is in it, or will never be. Idempotent. */
  settle(): void;
}

/** --systemd-cgroup. Throws `unsupported` where no systemd runs, `invalid` for a path that it cannot be. */
export async function prepareScope(id: string, spec: OciSpec, from: { readonly helper: Uint8Array; readonly cgroups: CgroupHost }): Promise<PendingScope> {
  const user = isUser();
  const unit = systemdUnit(id, spec.linux?.cgroupsPath ?? '', { user });
  // No unprivileged process has groups of v1's but the named one.
  if (user && from.cgroups.version === 1) throw new NaruError('unsupported', '--systemd-cgroup: cannot use rootless systemd cgroups manager on cgroup v1', { hint: 'leave --systemd-cgroup out: the container then has no cgroup of its own' });
  const manager = await SystemdManager.connect({ user });
  let held: { end(): void } | undefined;
  try {
    const cgroupPath = `${await manager.controlGroup()}${unit.path}`;
    return {
      unit: unit.name, cgroupPath,
      async start() {
        const placeholder = startPlaceholder(from.helper);
        held = placeholder;
        await manager.startUnit(unit.name, scopeProperties(spec, { id, slice: unit.slice, isSlice: unit.name.endsWith('.slice'), pid: placeholder.pid, version: from.cgroups.version }));
      },
      settle() {
        held?.end();
        held = undefined;
        manager.close();
      },
    };
  } catch (error) {
    manager.close();
    throw error;
  }
}

/** Whatever was in it has ended: systemd forgets it. */
export async function stopScope(unit: string): Promise<void> {
  const manager = await SystemdManager.connect({ user: isUser() });
  try {
    await manager.stopUnit(unit);
  } finally {
    manager.close();
  }
}

/** What `update` changes, so that systemd does not write the old limits again. */
export async function updateScope(unit: string, resources: OciResources, version: 1 | 2): Promise<void> {
  const manager = await SystemdManager.connect({ user: isUser() });
  try {
    await manager.setProperties(unit, limitProperties(resources, version));
  } finally {
    manager.close();
  }
}

/** systemd makes no scope without a process in it: the helper as a fork server that nobody asks for anything. */
function startPlaceholder(helper: Uint8Array): { readonly pid: number; end(): void } {
  const program = sealedMemfd('naru-helper', helper);
  const [ours, theirs] = socketpair('seqpacket');
  try {
    const child = spawn(`/proc/${process.pid}/fd/${program}`, ['spawner'], { argv0: 'naru-scope', stdio: ['ignore', 'ignore', 'ignore', theirs], detached: true, env: {}, cwd: '/' });
    child.unref();
    return { pid: child.pid!, end: () => closeQuietly(ours) };
  } finally {
    closeQuietly(program);
    closeQuietly(theirs);
  }
}
