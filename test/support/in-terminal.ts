import { spawn } from 'node:child_process';
import { NARU, type TestDaemon } from './daemon.ts';
import type { Cli } from './two-clients.ts';

/** Runs a command line in a terminal of its own; types `keys` once the output holds `after` ('' : once the container runs, by its name). */
export async function inTerminal(cli: Cli, d: TestDaemon, words: readonly string[], { after, keys }: { after: string; keys: string }): Promise<{ code: number; out: string }> {
  const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
  const line = [cli === 'docker' ? 'docker' : NARU, '-H', `unix://${d.socket}`, ...words].map(quote).join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 128)));
  const end = Date.now() + 15_000;
  const ready = (): boolean => (after === '' ? d.docker('ps', '-q').out !== '' : out.includes(after));
  while (!ready() && child.exitCode === null && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
  // A client attaches before it starts the container, but puts its terminal into raw mode a moment later.
  for (; child.exitCode === null && Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 200))) child.stdin.write(keys);
  if (child.exitCode === null) child.kill('SIGKILL');
  return { code: await ended, out };
}
