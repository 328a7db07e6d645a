import { resolve } from 'node:path';
import { compileExec } from '#runtime/compile/compile-exec.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciProcess, OciSpec } from '#spec/oci-runtime.ts';
import { pidfdOpen } from '#sys/descriptors.ts';
import { containerDirectory, readConfig, readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { bool, list, number, parseFlags, text } from '../flags.ts';
import { forwardSignals } from '../foreground.ts';
import { readProcessStat } from '../process-stat.ts';
import { parseGoJson, readJsonText } from '../read-bundle.ts';
import { RequestSlots, runtimeTask } from '../run-task.ts';
import { connectConsole } from '../start-socket.ts';
import { subCgroups } from '../sub-cgroups.ts';
import { hostOf } from '../task-plan.ts';
import { terminalIo } from '../terminal-io.ts';

const FLAGS = {
  process: { kind: 'text', short: 'p' }, detach: { kind: 'bool', short: 'd' }, tty: { kind: 'bool', short: 't' }, 'console-socket': text, 'pid-file': text,
  cwd: text, env: { kind: 'list', short: 'e' }, user: { kind: 'text', short: 'u' }, 'additional-gids': { kind: 'list', short: 'g' }, cap: { kind: 'list', short: 'c' },
  'no-new-privs': bool, 'preserve-fds': number, 'process-label': text, apparmor: text, 'ignore-paused': bool, cgroup: list, 'no-subreaper': bool,
} as const;
type ExecFlags = ReturnType<typeof parseFlags<typeof FLAGS>>['flags'];

/** `exec [options] ID [COMMAND ...]`: another process in a running container; exits as it did (--detach: at once). */
export const exec: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, FLAGS, { stop: true });
  const record = readRecord(context.root, rest[0] ?? '');
  const { status, pid, startTime } = containerStatus(context.root, record);
  if (status === 'stopped' || status === 'creating') throw new NaruError('conflict', 'cannot exec in a stopped container');
  if (status === 'paused' && !flags['ignore-paused']) throw new NaruError('conflict', 'cannot exec in a paused container (use --ignore-paused to override)');
  const config = readConfig(context.root, record.id);
  const spec: OciSpec = { ...config, linux: { ...config.linux, cgroupsPath: record.cgroupPath } };
  const process_ = processOf(flags, rest.slice(1), spec);
  const terminal = process_.terminal === true;
  if (flags.detach && terminal && flags['console-socket'] === undefined) throw new NaruError('invalid', 'cannot allocate tty if runtime will detach without setting console socket');

  const slots = new RequestSlots({ terminal });
  try {
    const targetSlot = slots.add(pidfdOpen(pid));
    // The descriptor is taken first: from here on the number cannot mean another.
    if (readProcessStat(pid)?.startTime !== startTime) throw new NaruError('conflict', 'cannot exec in a stopped container');
    const consoleSlot = flags['console-socket'] === undefined ? undefined : slots.add(connectConsole(resolve(flags['console-socket'])));
    const preserve = slots.preserve(flags['preserve-fds']);
    const plan = compileExec({
      execId: 'exec', process: process_, spec,
      io: terminal ? terminalIo(process_.consoleSize, !flags.detach && consoleSlot === undefined) : { mode: 'null', stdin: 'none' },
    }, {
      containerId: record.id, ...(flags.cgroup.length > 0 && { subCgroups: subCgroups(flags.cgroup, hostOf(record).cgroups, record.cgroupPath) }), stateDir: containerDirectory(context.root, record.id).path, rootless: record.owner !== undefined, targetSlot, inheritStreams: !terminal, noNewKeyring: record.noNewKeyring,
      ...(flags.detach && { leave: 'started' as const }), ...(flags['pid-file'] !== undefined && { pidFile: resolve(flags['pid-file']) }),
      ...(consoleSlot !== undefined && { consoleSlot }), ...(preserve !== undefined && { preserve }),
    }, hostOf(record));
    const task = runtimeTask({ id: record.id, spec: { ...spec, process: process_ }, verb: 'exec', plan, helper: context.helper(), slots, leaves: flags.detach });
    // Before the start: not a byte is lost, and a short process is not missed.
    const detach = !flags.detach && terminal && consoleSlot === undefined ? await (await import('../attach-terminal.ts')).attachTerminal(task) : undefined;
    await task.start().catch(async (error: unknown) => {
      await detach?.();
      throw error;
    });
    slots.close();
    if (flags.detach) return 0;
    forwardSignals({ pid: task.pid, startTime: readProcessStat(task.pid)?.startTime ?? 0 });
    const ended = await task.exited;
    await detach?.();
    return ended.code;
  } finally {
    slots.close();
  }
};

/** --process FILE as it stands; otherwise the container's own process with what the flags change. */
function processOf(flags: ExecFlags, args: readonly string[], spec: OciSpec): OciProcess {
  if (flags.process !== undefined) return parseGoJson(readJsonText(flags.process, `--process ${flags.process}: no such file`), flags.process) as OciProcess;
  if (args.length === 0) throw new NaruError('invalid', 'process args cannot be empty');
  const own = spec.process ?? { user: { uid: 0, gid: 0 }, cwd: '/' };
  const extra = flags.cap.flatMap((names) => names.split(','));
  const { consoleSize: _, ...rest } = own;
  return {
    ...rest, args: [...args], terminal: flags.tty, cwd: flags.cwd ?? own.cwd, env: [...(own.env ?? []), ...flags.env],
    user: flags.user === undefined && flags['additional-gids'].length === 0 ? own.user : userOf(flags, own),
    ...(flags['no-new-privs'] && { noNewPrivileges: true }), ...(flags.apparmor !== undefined && { apparmorProfile: flags.apparmor }),
    ...(flags['process-label'] !== undefined && { selinuxLabel: flags['process-label'] }),
    ...(extra.length > 0 && { capabilities: withCapabilities(own.capabilities ?? {}, extra) }),
  };
}

const MAX_ID = 0x7fffffff;

function userOf(flags: ExecFlags, own: OciProcess): OciProcess['user'] {
  const id = (word: string | undefined, flag: string): number => {
    if (word === undefined || !/^\d{1,10}$/.test(word) || Number(word) > MAX_ID) throw new NaruError('invalid', `--${flag}: ${JSON.stringify(word ?? '')} is no id from 0 to ${MAX_ID}`);
    return Number(word);
  };
  const [uid, gid] = flags.user?.split(':') ?? [];
  const groups = flags['additional-gids'].flatMap((gids) => gids.split(',')).map((gid) => id(gid, 'additional-gids'));
  return {
    ...own.user, ...(uid !== undefined && { uid: id(uid, 'user') }), ...(gid !== undefined && { gid: id(gid, 'user') }),
    additionalGids: [...(own.user.additionalGids ?? []), ...groups],
  };
}

/** As runc: bounding, permitted and effective; never inheritable or ambient. */
const withCapabilities = (own: NonNullable<OciProcess['capabilities']>, extra: readonly string[]): NonNullable<OciProcess['capabilities']> => ({
  ...own, ...Object.fromEntries((['bounding', 'effective', 'permitted'] as const).map((set) => [set, [...new Set([...(own[set] ?? []), ...extra])]])),
});

