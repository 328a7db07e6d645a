import { readConfig, readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { parseFlags } from '../flags.ts';
import { onlyId } from '../words.ts';

export const STATE_VERSION = '1.2.0';

/** `state ID`: https://github.com/opencontainers/runtime-spec, runtime.md "State", with runc's additions. */
export const state: Verb = (words, context) => {
  const record = readRecord(context.root, onlyId(parseFlags(words, {}).rest, 'state'));
  const { status, pid } = containerStatus(context.root, record);
  const { annotations } = readConfig(context.root, record.id);
  process.stdout.write(`${JSON.stringify({
    ociVersion: STATE_VERSION, id: record.id, pid, status, bundle: record.bundle, rootfs: record.rootfs, created: record.created,
    ...(annotations !== undefined && { annotations }), owner: '',
  }, null, 2)}\n`);
  return 0;
};
