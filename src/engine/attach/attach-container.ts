import { NaruError } from '#spec/errors.ts';
import { closeQuietly, dupDescriptor } from '#sys/descriptors.ts';
import type { AttachOptions, ClientDescriptor } from '#api/engine-port.ts';
import type { AttachRequest, PreparedTask, Task } from '#core/tasks/port.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import { openLogStream } from '../logs/open-log-stream.ts';
import type { Container } from '../containers/container.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { writeDescriptor } from './write-descriptor.ts';

/** Clients that may wait for one container's start. */
const PENDING_LIMIT = 64;

/**
 * Checks the request; `attach` then hands the client over. Of a container that does not run yet the client waits for the start, as
 * `docker run` has it. Throws conflict for a paused or restarting container.
 */
export function prepareAttach(engine: EngineContext, container: Container, options: AttachOptions): { tty: boolean; attach(client: ClientDescriptor): Promise<void> } {
  const { config } = container.doc;
  const { status } = container.state;
  if (status === 'paused') throw new NaruError('conflict', `container ${container.name} is paused, unpause the container before attach`);
  if (status === 'restarting') throw new NaruError('conflict', `container ${container.name} is restarting, wait until the container is running`);
  if (status === 'removing' || status === 'dead') throw new NaruError('conflict', `container ${container.name} is marked for removal and cannot be attached to`);
  const tty = config.Tty === true;
  const request: Omit<AttachRequest, 'fd'> = {
    stdin: options.stdin && config.OpenStdin === true, stdout: options.stdout, stderr: options.stderr, framed: !tty && options.framed !== false,
    closeStdin: config.StdinOnce === true && !tty, detachKeys: tty ? parseDetachKeys(options.detachKeys) : checked(options.detachKeys),
  };
  return {
    tty,
    async attach(client) {
      const fd = dupDescriptor(client.fd);
      try {
        if (options.logs) await replay(engine, container, { fd, options });
        if (!options.stream) return closeQuietly(fd);
      } catch (error) {
        closeQuietly(fd);
        throw error;
      }
      await hand(engine, container, { ...request, fd });
    },
  };
}

/** Without a terminal there are no keys, but a wrong word is still an error. */
function checked(keys: string): Uint8Array {
  parseDetachKeys(keys);
  return new Uint8Array(0);
}

async function hand(engine: EngineContext, container: Container, request: AttachRequest): Promise<void> {
  const attach = async (to: PreparedTask | Task): Promise<void> => {
    const { ended } = await to.attach(request);
    containerEvent(engine, container, 'attach');
    void ended.then((end) => {
      if (end === 'detached') containerEvent(engine, container, 'detach');
    }, () => undefined);
  };
  const { task } = container;
  if (task !== undefined) {
    await attach(task);
    return;
  }
  if (container.removed) {
    closeQuietly(request.fd);
    throw new NaruError('not-found', `No such container: ${container.name}`);
  }
  // Those who went away are not seen from here: the oldest makes room.
  if (container.pendingAttaches.length >= PENDING_LIMIT) closeQuietly(container.pendingAttaches.shift()!.fd);
  container.pendingAttaches.push({ fd: request.fd, attach });
}

/** What was written before, from the log. */
async function replay(engine: EngineContext, container: Container, { fd, options }: { fd: number; options: AttachOptions }): Promise<void> {
  const stream = openLogStream(engine, container, {
    stdout: options.stdout, stderr: options.stderr, follow: false, timestamps: false, since: 0n, until: 0n, tail: -1, details: false, ...(options.framed === undefined ? {} : { framed: options.framed }),
  }, engine.closing);
  for await (const chunk of stream) await writeDescriptor(fd, chunk as Uint8Array);
}
