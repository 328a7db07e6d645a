import { isKind, NaruError } from '#spec/errors.ts';
import { type ContainerRecord, readRecord, sweepAbandoned } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';
import { removeContainer } from '../remove-container.ts';
import { onlyId } from '../words.ts';

/**
 * `delete [--force] ID`: a stopped or created container; with --force any, and none is no error.
 *
 * That a created one goes without --force is runc's behaviour, not runtime.md's ("Delete": stopped alone). containerd's shim calls
 * `delete` without it for a container whose start never came: refused, its first process and its groups would stay for ever.
 */
export const remove: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, { force: { kind: 'bool', short: 'f' } });
  const id = onlyId(rest, 'delete');
  sweepAbandoned(context.root);
  let record: ContainerRecord;
  try {
    record = readRecord(context.root, id);
  } catch (error) {
    if (flags.force && isKind(error, 'not-found')) return 0;
    throw error;
  }
  const { status } = containerStatus(context.root, record);
  if (!flags.force && status !== 'stopped' && status !== 'created') {
    throw new NaruError('conflict', `cannot delete container ${id} that is not stopped: ${status}`);
  }
  await removeContainer(record, context);
  return 0;
};

