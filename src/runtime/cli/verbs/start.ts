import { decodeMessage } from '#runtime/driver/messages.ts';
import { startError, type StartFailure } from '#runtime/driver/start-errors.ts';
import { adoptSocket } from '#sys/fd-socket.ts';
import { NaruError } from '#spec/errors.ts';
import { containerDirectory, readConfig, readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { forgetStartSocket, runPoststart } from '../create-container.ts';
import { parseFlags } from '../flags.ts';
import { connectToStart } from '../start-socket.ts';
import { onlyId } from '../words.ts';

/** `start ID`: the program of a created container begins. */
export const start: Verb = async (words, context) => {
  const id = onlyId(parseFlags(words, {}).rest, 'start');
  const record = readRecord(context.root, id);
  const { status, pid } = containerStatus(context.root, record);
  if (status === 'stopped') throw new NaruError('conflict', 'cannot start a container that has stopped');
  if (status === 'running') throw new NaruError('conflict', 'cannot start an already running container');
  if (status !== 'created') throw new NaruError('conflict', `cannot start a container in the ${status} state`);
  const directory = containerDirectory(context.root, id);
  const socket = connectToStart(directory.startSocket);
  if (socket === undefined) throw new NaruError('conflict', 'cannot start an already running container');
  const spec = readConfig(context.root, id);
  const failed = await begin(socket);
  forgetStartSocket(directory);
  if (failed !== undefined) {
    if (spec.process === undefined) throw new NaruError('invalid', '/process: missing, there is nothing to start');
    const { taskPlan } = await import('../task-plan.ts');
    throw startError(taskPlan(record, spec, { stateDir: directory.path, again: true }).plan, failed, { spec, verb: 'runtime create' });
  }
  await runPoststart({ record: { ...record, init: record.init ?? { pid, startTime: 0 } }, bundle: { path: record.bundle, config: '', spec, rootfs: record.rootfs } }, context);
  return 0;
};

/** The waiting process says that it was asked, then why it failed; when it just closes the socket, the program runs. */
async function begin(socket: number): Promise<StartFailure | undefined> {
  const done = Promise.withResolvers<void>();
  let asked = false;
  let failed: StartFailure | undefined;
  await adoptSocket(socket, {
    data(bytes) {
      const message = decodeMessage(bytes);
      if (message?.type === 'created') asked = true;
      else if (message?.type === 'failed') failed = message;
    },
    end: () => done.resolve(),
    close: () => done.resolve(),
  });
  await done.promise;
  if (!asked) throw new NaruError('conflict', 'cannot start an already running container');
  return failed;
}
