import { existsSync, readFileSync } from 'node:fs';
import type { CompileHost } from '#runtime/compile/compile-host.ts';
import { RLIMITS } from '#runtime/compile/process-attributes.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { NR } from '#sys/numbers.ts';
import { overlayAppends } from '#sys/overlay-append.ts';
import { check, syscall } from '#sys/syscalls.ts';

const CAP_SYS_RESOURCE = 24n;

/** Read the machine once; what only some containers depend on, when the first of them asks. Throws what detectCgroups throws. */
export function detectHost(): CompileHost {
  const capabilities = ownCapabilities();
  const oomScoreAdj = Number(readText('/proc/self/oom_score_adj') || 0);
  // In a user namespace of ours the capability is not the machine's.
  const inUserNamespace = !isWhole(readText('/proc/self/uid_map'));
  const mayRaise = !inUserNamespace && ((capabilities >> CAP_SYS_RESOURCE) & 1n) === 1n;
  let overlay: string[] | undefined, limits: ReturnType<typeof ownHardLimits> | undefined;
  return {
    cgroups: detectCgroups(),
    get overlayAppend() {
      return overlayAppends();
    },
    get overlayDefaults() {
      return (overlay ??= overlayDefaults());
    },
    capabilities,
    inUserNamespace,
    seccomp: existsSync('/proc/sys/kernel/seccomp/actions_avail'),
    apparmor: readText('/sys/module/apparmor/parameters/enabled').startsWith('Y'),
    selinux: existsSync('/sys/fs/selinux/enforce'),
    timeNamespace: existsSync('/proc/self/ns/time'),
    get hardLimits() {
      return mayRaise ? undefined : (limits ??= ownHardLimits());
    },
    oomScoreAdj,
    minOomScoreAdj: mayRaise ? -1000 : oomScoreAdj,
  };
}

/** Distributions build overlay with other defaults: copied up inodes must stay whole, and upper directories movable. */
function overlayDefaults(): string[] {
  return ['index', 'metacopy', 'redirect_dir'].flatMap((name) => {
    const value = readText(`/sys/module/overlay/parameters/${name}`).trim();
    return value === 'Y' || value === 'on' ? [`${name}=off`] : [];
  });
}

function ownCapabilities(): bigint {
  const line = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status'));
  return line === null ? 0n : BigInt(`0x${line[1]}`);
}

function ownHardLimits(): ReadonlyMap<number, number> {
  const limits = new Map<number, number>();
  const pair = new BigUint64Array(2);
  for (const resource of Object.values(RLIMITS)) {
    check(syscall(NR.prlimit64, 0, resource, null, pair), 'prlimit64');
    limits.set(resource, pair[1] === 0xffffffffffffffffn ? Infinity : Number(pair[1]));
  }
  return limits;
}

/** A uid_map that maps every id to itself. */
const isWhole = (map: string): boolean => /^\s*0\s+0\s+4294967295\s*$/.test(map);

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
