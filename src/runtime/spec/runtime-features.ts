import { readFileSync } from 'node:fs';
import { CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import { DELEGATED_CONTROLLERS } from '#runtime/cgroups/cgroup-plan.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { NAMESPACE_FLAGS } from '#runtime/compile/compile-namespaces.ts';
import { MOUNT_OPTION_NAMES } from '#runtime/compile/mount-options.ts';
import { MEMORY_FLAGS, MEMORY_MODES } from '#runtime/compile/process-attributes.ts';
import { HOOK_POINTS } from '#runtime/compile/compile-hooks.ts';
import { detectHost } from '#runtime/driver/detect-host.ts';
import { ACTION_NAMES, ARCHITECTURES, COMPARATORS, FLAGS } from '#runtime/seccomp/seccomp-numbers.ts';
import { supportedFilterFlags } from '#runtime/seccomp/supported-flags.ts';

/** The first version of runtime-spec; every 1.x configuration is taken. */
const OCI_VERSION_MIN = '1.0.0';
/** The last whose every field for Linux is known. */
const OCI_VERSION_MAX = '1.3.0';

export interface RuntimeFeatures { readonly version: string; readonly criu: string | undefined }

/**
 * What naru can do, as https://github.com/opencontainers/runtime-spec (features.md, features-linux.md) wants it said: what the
 * runtime knows, whatever this machine's kernel has, but for `supportedFlags`, which is asked of the kernel. What the kernel has
 * stands in the annotations `naru.kernel.…`.
 */
export function runtimeFeatures({ version, criu }: RuntimeFeatures): object {
  const host = detectHost();
  const cgroups = detectCgroups();
  const actions = readActions();
  return {
    ociVersionMin: OCI_VERSION_MIN,
    ociVersionMax: OCI_VERSION_MAX,
    hooks: HOOK_POINTS,
    mountOptions: MOUNT_OPTION_NAMES,
    linux: {
      namespaces: Object.keys(NAMESPACE_FLAGS).sort(),
      capabilities: CAPABILITIES,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: DELEGATED_CONTROLLERS.includes('rdma') },
      seccomp: {
        enabled: true,
        actions: [...ACTION_NAMES].sort(),
        operators: [...COMPARATORS].sort(),
        archs: [...ARCHITECTURES.keys()].sort(),
        knownFlags: Object.keys(FLAGS).sort(),
        supportedFlags: supportedFilterFlags(),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false, schemata: false, monitoring: false },
      memoryPolicy: { modes: Object.keys(MEMORY_MODES).sort(), flags: Object.keys(MEMORY_FLAGS).sort() },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    annotations: {
      'naru.version': version,
      'naru.checkpoint.enabled': String(criu !== undefined),
      ...(criu !== undefined && { 'naru.checkpoint.criu': criu }),
      'naru.kernel.cgroup': cgroups.version === 2 ? 'v2' : cgroups.hybrid ? 'hybrid' : 'v1',
      'naru.kernel.seccomp': String(host.seccomp),
      'naru.kernel.seccomp.actions': actions,
      'naru.kernel.apparmor': String(host.apparmor),
      'naru.kernel.selinux': String(host.selinux),
      'naru.kernel.timeNamespace': String(host.timeNamespace),
      // Engines ask runc's name for it.
      'org.opencontainers.runc.checkpoint.enabled': String(criu !== undefined),
    },
  };
}

/** In the kernel's words: `kill_process kill_thread trap …`. */
function readActions(): string {
  try {
    return readFileSync('/proc/sys/kernel/seccomp/actions_avail', 'utf8').trim();
  } catch {
    return '';
  }
}
