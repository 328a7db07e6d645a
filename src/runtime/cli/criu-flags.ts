import { openSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { CGROUP_MODES, OPTION } from '#runtime/criu/criu-request.ts';
import type { ProtoField } from '#runtime/criu/protobuf.ts';
import { NaruError } from '#spec/errors.ts';
import { CLONE_NEWNET } from '#sys/numbers.ts';
import type { RuntimeContext } from './context.ts';
import { findCriu } from './criu.ts';
import { bool, type Flags, list, text } from './flags.ts';

/** What checkpoint and restore have in common. */
export const CRIU_FLAGS = {
  'image-path': text, 'work-path': text, 'tcp-established': bool, 'ext-unix-sk': bool, 'shell-job': bool, 'file-locks': bool, 'link-remap': bool,
  'manage-cgroups-mode': text, 'empty-ns': list, 'auto-dedup': bool, 'lazy-pages': bool,
} as const;

const LOG_LEVEL = 4;

export interface CriuSetup {
  readonly program: string;
  readonly imagePath: string;
  readonly log: string;
  readonly options: ProtoField[];
  /** The directories of the images and of the work, which criu finds by our numbers of them. */
  readonly directories: readonly number[];
  /** What criu gets, from FIRST_DESCRIPTOR on. */
  readonly descriptors: number[];
}

/** Throws `unsupported` where criu is missing, `invalid` for flags that it does not know. `logName`: in the work directory. */
export function criuSetup(flags: Flags<typeof CRIU_FLAGS>, context: RuntimeContext, logName: string): CriuSetup {
  const program = findCriu(context.criu);
  if (program === undefined) throw new NaruError('unsupported', `${logName.replace('.log', '')}: criu is not installed (${context.criu})`, { hint: 'apt-get install criu, or --criu PATH' });
  const imagePath = resolve(flags['image-path'] ?? 'checkpoint');
  const workPath = flags['work-path'] === undefined ? imagePath : resolve(flags['work-path']);
  const mode = CGROUP_MODES[flags['manage-cgroups-mode'] ?? 'soft'];
  if (mode === undefined) throw new NaruError('invalid', `invalid manage-cgroups-mode value ${JSON.stringify(flags['manage-cgroups-mode'])}`, { hint: Object.keys(CGROUP_MODES).join(', ') });
  for (const name of flags['empty-ns']) if (name !== 'network') throw new NaruError('invalid', `namespace ${JSON.stringify(name)} is not supported by --empty-ns`);
  const open = (path: string): number => {
    try {
      return openSync(path, 'r');
    } catch (error) {
      throw new NaruError('invalid', `${path}: ${(error as Error).message}`, { cause: error });
    }
  };
  const directories = [open(imagePath), open(workPath)] as const;
  return {
    program, imagePath, log: `${workPath}/${logName}`, directories, descriptors: [],
    options: [
      [OPTION.imagesDirFd, directories[0]], [OPTION.workDirFd, directories[1]], [OPTION.logLevel, LOG_LEVEL], [OPTION.logFile, logName], [OPTION.notifyScripts, true],
      [OPTION.tcpEstablished, flags['tcp-established']], [OPTION.extUnixSk, flags['ext-unix-sk']], [OPTION.shellJob, flags['shell-job']], [OPTION.fileLocks, flags['file-locks']],
      [OPTION.linkRemap, flags['link-remap']], [OPTION.autoDedup, flags['auto-dedup']], [OPTION.lazyPages, flags['lazy-pages']], [OPTION.orphanPtsMaster, true],
      [OPTION.manageCgroups, true], [OPTION.manageCgroupsMode, mode], ...(flags['empty-ns'].length > 0 ? [[OPTION.emptyNs, CLONE_NEWNET] as const] : []),
    ],
  };
}

/** --parent-path is a path from --image-path. */
export function checkParentPath(path: string, imagePath: string): string {
  if (isAbsolute(path)) throw new NaruError('invalid', '--parent-path: must be relative to --image-path', { hint: `the directory of the checkpoint before, seen from ${imagePath}` });
  return path;
}
