import type { Resources, RestartPolicy } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { parseRestartPolicy } from '../create/create-request.ts';
import { failTogether } from '../many.ts';

/** `update`. */
export const update: CommandRunner = async ({ client, flags, args, io }) => {
  if (flags.given.size === 0) throw new NaruError('invalid', 'you must provide one or more flags when using this command');
  const number = (name: string): number => flags.number(name);
  const change: Resources & { RestartPolicy?: RestartPolicy } = {
    BlkioWeight: number('blkio-weight'), CpuPeriod: number('cpu-period'), CpuQuota: number('cpu-quota'), CpuRealtimePeriod: number('cpu-rt-period'), CpuRealtimeRuntime: number('cpu-rt-runtime'),
    CpuShares: number('cpu-shares'), CpusetCpus: flags.string('cpuset-cpus'), CpusetMems: flags.string('cpuset-mems'), Memory: number('memory'), MemoryReservation: number('memory-reservation'),
    MemorySwap: number('memory-swap'), ...(flags.changed('kernel-memory') ? { KernelMemory: number('kernel-memory') } : {}), NanoCpus: number('cpus'),
    ...(flags.changed('pids-limit') ? { PidsLimit: number('pids-limit') } : {}),
    RestartPolicy: flags.changed('restart') ? parseRestartPolicy(flags.string('restart')) : { Name: '', MaximumRetryCount: 0 },
  };
  const warnings: string[] = [];
  const errors: unknown[] = [];
  for (const name of args) {
    try {
      warnings.push(...((await client().containers.update(name, change)).Warnings ?? []));
      io.out(`${name}\n`);
    } catch (error) {
      errors.push(error);
    }
  }
  if (warnings.length > 0) io.out(`${warnings.join('\n')}\n`);
  failTogether(errors);
  return 0;
};
