import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';

/** What the compiler must know of the machine. Facts only: the compiler itself asks the kernel nothing, so that a plan is a
 *  function of its inputs. Read once by `driver/detect-host.ts`. */
export interface CompileHost {
  readonly cgroups: CgroupHost;
  /** overlay accepts `lowerdir+`, one lower layer at a time (6.8 and later). */
  readonly overlayAppend: boolean;
  /** Options that turn off what this kernel's overlay would do by default and a container engine does not want. */
  readonly overlayDefaults: readonly string[];
  /** The capabilities that naru itself has (its permitted set), as a mask. */
  readonly capabilities: bigint;
  /** naru itself runs in a user namespace that is not the machine's (a rootless engine's): it is root there alone. */
  readonly inUserNamespace?: boolean;
  readonly seccomp: boolean;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  readonly timeNamespace: boolean;
  /** The caller's hard limits by number of the resource; undefined when it may raise them (CAP_SYS_RESOURCE). */
  readonly hardLimits: ReadonlyMap<number, number> | undefined;
  /** The caller's own oom_score_adj: what a program gets when the configuration says nothing (the shim has another). */
  readonly oomScoreAdj: number;
  /** Smallest oom_score_adj that the caller may set (its own, without CAP_SYS_RESOURCE). */
  readonly minOomScoreAdj: number;
}
