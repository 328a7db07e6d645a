import { spawn } from 'node:child_process';
import { run } from '#cli/main.ts';
import type { Io } from '#cli/io.ts';

export interface CliResult { readonly code: number; readonly out: string; readonly err: string }

/** Runs naru's command line in this process, its streams gathered. */
export async function runCli(args: readonly string[], options: { program?: string; env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<CliResult> {
  let [out, err] = ['', ''];
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    write: (fd, bytes) => {
      const text = new TextDecoder().decode(bytes);
      if (fd === 1) out += text;
      else err += text;
      return Promise.resolve();
    },
    isTerminal: () => false,
    size: () => Promise.resolve(undefined),
    async *input() {
      if (options.input !== undefined && options.input !== '') yield new TextEncoder().encode(options.input);
    },
  };
  const code = await run(args, { program: options.program ?? 'naru', daemonCommand: [], env: options.env ?? process.env, io });
  return { code, out, err };
}

/** Runs Docker's own command line. */
export function runDocker(args: readonly string[], options: { env?: NodeJS.ProcessEnv; input?: string } = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { env: options.env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, out, err }));
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}
