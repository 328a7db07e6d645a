import type { ExchangeElsewhere } from '#registry/client/dispatch.ts';
import { NaruError } from '#spec/errors.ts';

/** `naru internal …`: the executable as its own helper process. Not for people. */
export async function runInternal(args: readonly string[]): Promise<void> {
  if (args[0] === 'core') {
    const { runJob } = await import('#core/jobs/run-job.ts');
    await runJob(args.slice(1), {
      async send(request, bytes) {
        const { exchangeHere } = await import('#registry/client/exchange-here.ts');
        return await exchangeHere(request as ExchangeElsewhere, bytes);
      },
    });
    return;
  }
  if (args[0] === 'dns') {
    const { runResolver } = await import('#net/dns/run-resolver.ts');
    runResolver();
    process.exit(0);
  }
  if (args[0] === 'look') {
    const { lookAt } = await import('#sys/remote-files.ts');
    lookAt(args[1] ?? '/', args.slice(2));
    process.exit(0);
  }
  throw new NaruError('invalid', `internal ${args[0] ?? ''}: there is no such helper`);
}
