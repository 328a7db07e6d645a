import { readFileSync } from 'node:fs';
import { updateResources } from '#runtime/cgroups/cgroup-control.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { validateResources } from '#runtime/compile/validate-spec.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciResources } from '#spec/oci-runtime.ts';
import { needGroup } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { number, parseFlags, text } from '../flags.ts';
import { parseGoJson, readJsonText } from '../read-bundle.ts';
import { onlyId } from '../words.ts';

const FLAGS = {
  resources: { kind: 'text', short: 'r' }, 'blkio-weight': number, 'cpu-period': number, 'cpu-quota': number, 'cpu-burst': number, 'cpu-share': number, 'cpu-shares': number,
  'cpu-rt-period': number, 'cpu-rt-runtime': number, 'cpuset-cpus': text, 'cpuset-mems': text, 'cpu-idle': number, memory: text, 'memory-reservation': text,
  'memory-swap': text, 'kernel-memory': text, 'kernel-memory-tcp': text, 'pids-limit': number, 'l3-cache-schema': text, 'mem-bw-schema': text,
} as const;
type UpdateFlags = ReturnType<typeof parseFlags<typeof FLAGS>>['flags'];

/** `update [options] ID`: limits of a running container; --resources FILE (or - for stdin) is linux.resources as JSON. */
export const update: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, FLAGS);
  const record = readRecord(context.root, onlyId(rest, 'update'));
  needGroup(record, 'update');
  if (flags['l3-cache-schema'] !== undefined || flags['mem-bw-schema'] !== undefined) throw new NaruError('unsupported', 'intelRdt is not supported by naru');
  const resources = flags.resources === undefined ? resourcesOf(flags) : readResources(flags.resources);
  if (containerStatus(context.root, record).status === 'stopped') throw new NaruError('conflict', 'container not running');
  const cgroups = detectCgroups();
  if (record.systemdUnit !== undefined) {
    const { updateScope } = await import('../systemd-scope.ts');
    await updateScope(record.systemdUnit, resources, cgroups.version);
  }
  await updateResources(cgroups, record.cgroupPath, resources);
  return 0;
};

/** `file`: `-` for stdin. */
function readResources(file: string): OciResources {
  const resources = parseGoJson(file === '-' ? readFileSync(0, 'utf8') : readJsonText(file, `--resources ${file}: no such file`), file === '-' ? 'stdin' : file);
  validateResources(resources);
  return resources as OciResources;
}

function resourcesOf(flags: UpdateFlags): OciResources {
  const given = <T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T | undefined => {
    const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
    return entries.length === 0 ? undefined : Object.fromEntries(entries) as T;
  };
  const cpu = given<NonNullable<OciResources['cpu']>>({
    shares: flags['cpu-share'] ?? flags['cpu-shares'], quota: flags['cpu-quota'], burst: flags['cpu-burst'], period: flags['cpu-period'],
    realtimeRuntime: flags['cpu-rt-runtime'], realtimePeriod: flags['cpu-rt-period'], cpus: flags['cpuset-cpus'], mems: flags['cpuset-mems'], idle: flags['cpu-idle'],
  });
  const memory = given<NonNullable<OciResources['memory']>>({
    limit: bytes(flags.memory, 'memory'), reservation: bytes(flags['memory-reservation'], 'memory-reservation'), swap: bytes(flags['memory-swap'], 'memory-swap'),
    kernel: bytes(flags['kernel-memory'], 'kernel-memory'), kernelTCP: bytes(flags['kernel-memory-tcp'], 'kernel-memory-tcp'),
  });
  return {
    ...(cpu !== undefined && { cpu }), ...(memory !== undefined && { memory }),
    ...(flags['pids-limit'] !== undefined && { pids: { limit: flags['pids-limit'] } }),
    ...(flags['blkio-weight'] !== undefined && { blockIO: { weight: flags['blkio-weight'] } }),
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `64m`, `1048576`, `-1` (unlimited). */
function bytes(word: string | undefined, flag: string): number | undefined {
  if (word === undefined || word === '') return undefined;
  if (word === '-1') return -1;
  const match = /^(\d+)([bkmgt]?)(?:i?b)?$/i.exec(word);
  if (match === null) throw new NaruError('invalid', `invalid value for ${flag}: ${JSON.stringify(word)}`);
  return Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
}
