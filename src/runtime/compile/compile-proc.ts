import type { OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, O_PATH, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV } from '#sys/numbers.ts';
import type { CompileHost } from './compile-host.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

const STRICT = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
/** `self` is an ordinary link of procfs's own. */
const THROUGH_SELF = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

/** `net.ipv4.ip_forward` -> `net/ipv4/ip_forward`; with a slash first (`net/ipv4/conf/eth0.100/forwarding`) dots stay, and
 *  in a dotted name a slash stands for a dot (sysctl(8)). */
export function sysctlPath(name: string): string {
  const slash = name.indexOf('/');
  const dot = name.indexOf('.');
  if (slash !== -1 && (dot === -1 || slash < dot)) return name;
  return name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'));
}

/** Exec-time labels of the process, as the files under /proc/self/attr take them. */
export function labelsOf(process: NonNullable<OciSpec['process']>, host: CompileHost): { path: string; label: string; pointer: string }[] {
  const labels: { path: string; label: string; pointer: string }[] = [];
  if (process.apparmorProfile !== undefined && process.apparmorProfile !== '') {
    if (!host.apparmor) throw new NaruError('unsupported', `/process/apparmorProfile: the kernel has no AppArmor, profile ${JSON.stringify(process.apparmorProfile)} cannot be applied`);
    labels.push({ path: 'attr/apparmor/exec', label: `exec ${process.apparmorProfile}`, pointer: '/process/apparmorProfile' });
  }
  if (process.selinuxLabel !== undefined && process.selinuxLabel !== '') {
    if (!host.selinux) throw new NaruError('unsupported', `/process/selinuxLabel: the kernel has no SELinux, label ${JSON.stringify(process.selinuxLabel)} cannot be applied`);
    labels.push({ path: 'attr/exec', label: process.selinuxLabel, pointer: '/process/selinuxLabel' });
  }
  return labels;
}

/**
 * What must be said through procfs from inside: sysctls and labels. Said through a procfs of ours that is attached
 * nowhere: neither the image nor a volume can stand in its way (CVE-2025-52881).
 */
export function addProcWrites(plan: PlanBuilder, spec: OciSpec, host: CompileHost): void {
  const sysctls = Object.entries(spec.linux?.sysctl ?? {});
  const labels = spec.process === undefined ? [] : labelsOf(spec.process, host);
  if (sysctls.length === 0 && labels.length === 0) return;
  plan.add('child', 'fs_mount', { slot: SLOT.proc, type: 'proc', options: ['source=proc'], attr: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC }, { why: 'a procfs of our own, attached nowhere', pointer: sysctls.length > 0 ? '/linux/sysctl' : labels[0]!.pointer });
  for (const [name, value] of sysctls) {
    plan.add('child', 'write_at', { at: SLOT.proc, path: `sys/${sysctlPath(name)}`, resolve: STRICT, data: value }, { why: `sysctl ${name}=${value}`, pointer: `/linux/sysctl/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` });
  }
  for (const { path, label, pointer } of labels) {
    plan.add('child', 'write_at', { at: SLOT.proc, path: `self/${path}`, resolve: THROUGH_SELF, data: label }, { why: 'label of the program', pointer });
  }
}

/** Hide and protect paths; before the pivot, while the host's /dev/null can still be cloned. */
export function addProtectedPaths(plan: PlanBuilder, spec: OciSpec): void {
  const masked = spec.linux?.maskedPaths ?? [];
  // Read-only first: a masked path below a read-only one is then on top of it.
  spec.linux?.readonlyPaths?.forEach((path, index) => {
    plan.add('child', 'readonly', { root: SLOT.root, path: relative(path), recursive: 1 }, { why: `read-only ${path}`, pointer: `/linux/readonlyPaths/${index}` });
  });
  if (masked.length === 0) return;
  plan.add('child', 'open', { slot: SLOT.devNull, at: SLOT.none, path: '/dev/null', flags: O_PATH, mode: 0, resolve: 0 }, { why: 'the host\'s /dev/null, for what is hidden', pointer: '/linux/maskedPaths' });
  masked.forEach((path, index) => {
    plan.add('child', 'mask', { root: SLOT.root, path: relative(path), devnull: SLOT.devNull }, { why: `hide ${path}`, pointer: `/linux/maskedPaths/${index}` });
  });
}

const relative = (path: string): string => path.replace(/^\/+/, '') || '.';
