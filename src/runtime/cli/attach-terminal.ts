import { closeSync } from 'node:fs';
import type { Task } from '#core/tasks/port.ts';
import { dupDescriptor, socketpair } from '#sys/descriptors.ts';
import { adoptSocket } from '#sys/fd-socket.ts';
import { leaveOutputAlone } from '#sys/raw-output.ts';

/** Connects our terminal (or whatever our streams are) with the program's. The result puts it back as it was, once all
 *  output has come. */
export async function attachTerminal(task: Task): Promise<() => Promise<void>> {
  const { stdin, stdout } = process;
  const [ours, theirs] = socketpair('stream');
  const closed = Promise.withResolvers<void>();
  let pending = 0;
  const socket = await adoptSocket(ours, {
    data(bytes) {
      // The buffer is the event loop's again afterwards.
      pending++;
      stdout.write(Uint8Array.from(bytes), () => {
        pending--;
        if (pending === 0) socket.resume();
      });
      if (stdout.writableNeedDrain) socket.pause();
    },
    end: () => closed.resolve(),
    close: () => closed.resolve(),
  });
  const handle = dupDescriptor(theirs);
  closeSync(theirs);
  await task.attach({ fd: handle, stdin: true, stdout: true, stderr: true, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
  const raw = stdin.isTTY === true;
  if (raw) {
    stdin.setRawMode(true);
    leaveOutputAlone(0);
  }
  const resize = (): void => {
    if (stdout.isTTY) task.resize(stdout.rows, stdout.columns);
  };
  resize();
  process.on('SIGWINCH', resize);
  stdin.on('data', (bytes: Buffer) => void socket.write(bytes));
  return async () => {
    await closed.promise;
    if (raw) stdin.setRawMode(false);
    stdin.pause();
    await new Promise<void>((resolve) => stdout.write('', () => resolve()));
  };
}
