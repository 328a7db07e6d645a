import { demultiplex } from '#client/frames.ts';
import type { CommandRunner } from '../command.ts';
import { apiTimestamp } from '../timestamp.ts';

/** `logs`. */
export const logs: CommandRunner = async ({ client, flags, args, io }) => {
  const name = args[0] as string;
  const { containers } = client();
  const since = flags.string('since');
  const until = flags.string('until');
  const { framed, body } = await containers.logs(name, {
    stdout: true, stderr: true, follow: flags.bool('follow'), timestamps: flags.bool('timestamps'), details: flags.bool('details'), tail: flags.string('tail'),
    ...(since === '' ? {} : { since: apiTimestamp(since) }), ...(until === '' ? {} : { until: apiTimestamp(until) }),
  });
  if (framed ?? (await containers.inspect(name)).Config.Tty !== true) await demultiplex(body, (fd, bytes) => io.write(fd, bytes));
  else for await (const chunk of body) await io.write(1, chunk);
  return 0;
};
