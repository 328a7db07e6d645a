import { freeze } from '#runtime/cgroups/cgroup-control.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { NaruError } from '#spec/errors.ts';
import { needGroup } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';
import { onlyId } from '../words.ts';

/** `pause ID`: every process stands still. */
export const pause: Verb = async (words, context) => {
  const record = readRecord(context.root, onlyId(parseFlags(words, {}).rest, 'pause'));
  needGroup(record, 'pause');
  const { status } = containerStatus(context.root, record);
  if (status !== 'running' && status !== 'created') throw new NaruError('conflict', `container not running or created: ${status}`);
  await freeze(detectCgroups(), record.cgroupPath, true);
  return 0;
};

/** `resume ID` */
export const resume: Verb = async (words, context) => {
  const record = readRecord(context.root, onlyId(parseFlags(words, {}).rest, 'resume'));
  needGroup(record, 'resume');
  const { status } = containerStatus(context.root, record);
  if (status !== 'paused') throw new NaruError('conflict', `container not paused: ${status}`);
  await freeze(detectCgroups(), record.cgroupPath, false);
  return 0;
};
