import type { ExecRequest } from '#core/tasks/port.ts';
import { cgroupPlan } from '#runtime/cgroups/cgroup-plan.ts';
import { SLOT_TARGET_PIDFD } from '#runtime/plan/ops.ts';
import type { Plan } from '#runtime/plan/plan.ts';
import { CLONE_NEWPID } from '#sys/numbers.ts';
import { HOOK_PID } from './compile-hooks.ts';
import type { CompileHost } from './compile-host.ts';
import { NAMESPACE_FLAGS } from './compile-namespaces.ts';
import { labelsOf } from './compile-proc.ts';
import { addAttributes, addIdentity, addKeyring, addSeccompListener, addStreamOwner } from './compile-process.ts';
import { addCloneTarget, addOomScore, cgroupPathOf, DEFAULT_UMASK, STDIN_MODES, STDIO_MODES } from './compile-task.ts';
import { planBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';
import { validateProcess } from './validate-spec.ts';

/**
 * Another process inside a running container: the plan is executed by the container's shim, and enters through the pidfd
 * of the container's first process (SLOT_TARGET_PIDFD). `containerId` names the cgroup when the configuration does not.
 */
export function compileExec(request: ExecRequest, containerId: string, host: CompileHost): Plan {
  const { process, spec, io } = request;
  validateProcess(process);
  const plan = planBuilder(undefined);
  const types = new Set((spec.linux?.namespaces ?? []).map((n) => n.type));
  const flags = [...types].reduce((sum, type) => sum | NAMESPACE_FLAGS[type], 0);
  const ids = spec.linux?.uidMappings?.find((m) => m.containerID <= process.user.uid && process.user.uid < m.containerID + m.size);

  const cgroups = cgroupPlan(host.cgroups, { path: cgroupPathOf(containerId, spec.linux?.cgroupsPath), parentsReady: true });

  // ── prepare ──────────────────────────────────────────────────────────────────────────────────────────────────────
  plan.add('prepare', 'stdio', { mode: STDIO_MODES[io.mode], stdin: STDIN_MODES[io.stdin] }, { why: `standard streams: ${io.mode}`, pointer: '/process/terminal' });
  if (request.exitFile !== undefined) plan.add('prepare', 'exit_file', { path: request.exitFile, sync: 0 }, { why: 'where the exit status is kept' });
  addSeccompListener(plan, spec.linux?.seccomp);
  plan.add('prepare', 'clone', { flags: 0, cgroup: addCloneTarget(plan, cgroups.cloneInto) }, { why: 'the child', pointer: '/process' });

  // ── parent ───────────────────────────────────────────────────────────────────────────────────────────────────────
  addOomScore(plan, host, process.oomScoreAdj ?? spec.process?.oomScoreAdj);

  // ── child: first what is said through the host's /proc, then in ──────────────────────────────────────────────────
  plan.splice(cgroups.join);
  addStreamOwner(plan, io, ids === undefined ? process.user : { ...process.user, uid: ids.hostID + process.user.uid - ids.containerID });
  for (const { path, label, pointer } of labelsOf(process, host)) plan.add('child', 'label', { path: `/proc/self/${path}`, label }, { why: 'label of the program', pointer });
  plan.add('child', 'setns', { slot: SLOT_TARGET_PIDFD, nstype: flags }, { why: `the container's namespaces: ${[...types].join(', ')}`, pointer: '/linux/namespaces' });
  // One is born into a pid namespace. Last, so that whoever may trace processes in there only ever sees one that has left
  // the host's files behind (CVE-2016-9962).
  if (types.has('pid')) plan.add('child', 'reclone', { flags: 0 }, { why: 'pid namespace: born in it', pointer: '/linux/namespaces' });
  plan.add('child', 'setsid', {}, { why: 'a session of its own' });
  if (types.has('user')) {
    plan.add('child', 'setresgid', { gid: 0 }, { why: 'root of the user namespace', pointer: '/linux/gidMappings' });
    plan.add('child', 'setresuid', { uid: 0 }, { why: 'root of the user namespace', pointer: '/linux/uidMappings' });
  }
  addKeyring(plan, `_ses.${containerId}`);
  if (io.mode === 'pty') {
    plan.add('child', 'pty', { devpts: SLOT.none, slave: SLOT.slave, rows: io.rows ?? 0, cols: io.columns ?? 0, uid: process.user.uid, gid: -1 }, { why: 'a pseudo terminal of the container\'s', pointer: '/process/terminal' });
    plan.add('child', 'tty', { slave: SLOT.slave, ctty: 1 }, { why: 'the terminal is stdin, stdout and stderr', pointer: '/process/terminal' });
  }
  plan.add('child', 'chdir', { path: process.cwd, create: 0 }, { why: 'working directory', pointer: '/process/cwd' });
  plan.add('child', 'umask', { mask: process.user.umask ?? DEFAULT_UMASK }, { why: 'umask', pointer: '/process/user/umask' });
  const step = { process, spec, host, init: false, state: { id: containerId, bundle: '', status: 'running' as const, pid: HOOK_PID } };
  addAttributes(plan, step);
  addIdentity(plan, step);
  return { ops: plan.build() };
}
