import { dialer } from '#client/dial.ts';
import { parseHostAddress } from '#client/host-address.ts';
import type { CommandRunner } from '../command.ts';

/** `system dial-stdio`: what a client at the other end of ssh talks to. */
export const dialStdio: CommandRunner = async ({ client, io }) => {
  await client().system.ping(); // starts the daemon where there is none
  const wire = await dialer(parseHostAddress(client().host), undefined)();
  let drained = (): void => {};
  const closed = new Promise<void>((resolve, reject) => {
    let writing = Promise.resolve();
    wire.listener = {
      data(chunk) {
        wire.pause();
        writing = writing.then(() => io.write(1, chunk)).then(() => wire.resume(), reject);
      },
      end: () => void writing.then(resolve),
      error: reject,
      drain: () => drained(),
    };
  });
  void (async () => {
    for await (const chunk of io.input()) if (!wire.write(chunk)) await new Promise<void>((resolve) => (drained = resolve));
    wire.end();
  })();
  await closed;
  wire.destroy();
  return 0;
};
