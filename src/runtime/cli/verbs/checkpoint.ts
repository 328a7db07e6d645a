import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { groupDirectory, hierarchyOf, unifiedHierarchy } from '#runtime/cgroups/cgroup-path.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { hasMountNamespace } from '#runtime/compile/compile-host-tree.ts';
import { boundMounts, kernelMounts } from '#runtime/criu/criu-mounts.ts';
import { CRIU, criuRequest, FIRST_DESCRIPTOR, OPTION } from '#runtime/criu/criu-request.ts';
import type { ProtoField } from '#runtime/criu/protobuf.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import { readConfig, readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { checkParentPath, CRIU_FLAGS, criuSetup } from '../criu-flags.ts';
import { bool, number, parseFlags, text } from '../flags.ts';
import { removeContainer } from '../remove-container.ts';
import { onlyId } from '../words.ts';

/** Beside criu's images: what restore has to know (runc's file of this name holds the same). */
export const STREAMS_FILE = 'descriptors.json';
export const MOUNTS_FILE = 'naru-mounts.json';

const FLAGS = {
  ...CRIU_FLAGS, 'parent-path': text, 'leave-running': bool, 'pre-dump': bool, 'tcp-skip-in-flight': bool, 'page-server': text, 'status-fd': number,
} as const;

/** `checkpoint [options] ID`: the container as files, from which `restore` makes it again. Unless it is to go on running, it ends and is
 *  removed. */
export const checkpoint: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, FLAGS);
  const record = readRecord(context.root, onlyId(rest, 'checkpoint'));
  const { status, pid } = containerStatus(context.root, record);
  if (status !== 'running' && status !== 'paused') throw new NaruError('conflict', `Container cannot be checkpointed in ${status} state`);
  for (const path of [flags['image-path'] ?? 'checkpoint', flags['work-path']]) if (path !== undefined) mkdirSync(resolve(path), { recursive: true, mode: 0o700 });
  const setup = criuSetup(flags, context, 'dump.log');
  const spec = readConfig(context.root, record.id);
  if (!hasMountNamespace(spec)) throw new NaruError('unsupported', '/linux/namespaces: a container without a mount namespace cannot be checkpointed', { hint: 'criu would take the mounts of the whole machine' });
  const cgroups = detectCgroups();
  const kernel = kernelMounts(pid, record.cgroupPath);
  const freezer = hierarchyOf(cgroups, 'freezer') ?? unifiedHierarchy(cgroups);
  const network = spec.linux?.namespaces?.find((n) => n.type === 'network')?.path;
  const options: ProtoField[] = [
    ...setup.options, [OPTION.pid, pid], [OPTION.root, record.rootfs], [OPTION.leaveRunning, flags['leave-running']], [OPTION.tcpSkipInFlight, flags['tcp-skip-in-flight']],
    ...[...boundMounts(spec), ...kernel].map(({ destination }): ProtoField => [OPTION.extMnt, [[1, destination], [2, destination]]]),
    ...(network ? [[OPTION.external, `net[${namespaceInode(pid, 'net')}]:extRootNetNS`] as const] : []),
    ...(freezer === undefined ? [] : [[OPTION.freezeCgroup, groupDirectory(freezer, record.cgroupPath)] as const]),
    ...(flags['parent-path'] === undefined ? [] : [[OPTION.parentImg, checkParentPath(flags['parent-path'], setup.imagePath)] as const]),
    ...(flags['pre-dump'] || flags['parent-path'] !== undefined ? [[OPTION.trackMem, true] as const] : []),
    ...pageServer(flags['page-server']),
    ...(flags['status-fd'] === undefined ? [] : [[OPTION.statusFd, statusDescriptor(flags['status-fd'], setup.descriptors)] as const]),
  ];
  if (!flags['pre-dump']) {
    writeFileSync(join(setup.imagePath, STREAMS_FILE), JSON.stringify([0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))), { mode: 0o600 });
    writeFileSync(join(setup.imagePath, MOUNTS_FILE), JSON.stringify(kernel), { mode: 0o600 });
  }
  try {
    await criuRequest({ program: setup.program, type: flags['pre-dump'] ? CRIU.preDump : CRIU.dump, options, descriptors: setup.descriptors, log: setup.log });
  } finally {
    for (const fd of setup.directories) closeQuietly(fd);
  }
  if (!flags['leave-running'] && !flags['pre-dump']) await removeContainer(record, context);
  return 0;
};

const namespaceInode = (pid: number, name: string): string => /\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/${name}`))![1]!;

/** --page-server ADDRESS:PORT */
function pageServer(word: string | undefined): ProtoField[] {
  if (word === undefined) return [];
  const match = /^(.+):(\d{1,5})$/.exec(word);
  if (match === null) throw new NaruError('invalid', '--page-server: use ADDRESS:PORT to specify page server');
  return [[OPTION.pageServer, [[1, match[1]!], [2, Number(match[2])]]]];
}

/** The caller's descriptor, as criu numbers it. */
function statusDescriptor(fd: number, descriptors: number[]): number {
  descriptors.push(fd);
  return FIRST_DESCRIPTOR + descriptors.length - 1;
}
