import { spawn } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import type { OciHook } from '#spec/oci-runtime.ts';

/** A hook that runs outside of the plan (poststart): the state on stdin, killed at its timeout. Rejects when it fails. */
export async function runHook(hook: OciHook, state: string): Promise<void> {
  const done = Promise.withResolvers<void>();
  const child = spawn(hook.path, (hook.args ?? []).slice(1), {
    argv0: hook.args?.[0] ?? hook.path, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/',
    env: Object.fromEntries((hook.env ?? []).map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)])),
    ...(hook.timeout !== undefined && { timeout: hook.timeout * 1000, killSignal: 'SIGKILL' as const }),
  });
  child.on('error', (cause) => done.reject(new NaruError('internal', `hook ${hook.path}: ${cause.message}`, { cause })));
  child.on('close', (code, signal) => {
    if (code === 0) done.resolve();
    else done.reject(new NaruError('internal', `hook ${hook.path}: ${signal === null ? `exit status ${code}` : `killed by ${signal}`}`));
  });
  child.stdin.on('error', () => {}); // it need not read it
  child.stdin.end(state);
  await done.promise;
}
