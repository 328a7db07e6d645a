import { NARU } from './daemon.ts';
import { RegistryProcess } from './registry-process.ts';

/** `naru registry serve`, with these flags too. */
export const NaruRegistry = {
  start: (...options: string[]): Promise<NaruRegistry> =>
    RegistryProcess.start(({ directory, port }) => [NARU, 'registry', 'serve', '--data', directory, '--port', String(port), '--access-log', 'off', ...options]),
};
export type NaruRegistry = RegistryProcess;
