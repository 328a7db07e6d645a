import { spawn } from 'node:child_process';
import { NaruError } from '#spec/errors.ts';
import type { OciHook } from '#spec/oci-runtime.ts';

/** A hook that runs outside of the plan (poststart): the state on stdin, killed at its timeout. Rejects when it fails. */
export async function runHook(hook: OciHook, state: string): Promise<void> {
  const done = Promise.withResolvers<void>();
  let timedOut = false;
  const child = spawn(hook.path, (hook.args ?? []).slice(1), {
    argv0: hook.args?.[0] ?? hook.path, stdio: ['pipe', 'ignore', 'ignore'], cwd: '/', detached: true,
    env: Object.fromEntries((hook.env ?? []).map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)])),
  });
  // With what it started: it leads a group of its own.
  const late = hook.timeout === undefined ? undefined : setTimeout(() => {
    timedOut = true;
    process.kill(-child.pid!, 'SIGKILL');
  }, hook.timeout * 1000);
  child.on('error', (cause) => done.reject(new NaruError('internal', `hook ${hook.path}: ${cause.message}`, { cause })));
  child.on('close', (code, signal) => {
    clearTimeout(late);
    if (timedOut) done.reject(new NaruError('unavailable', `hook ${hook.path}: timed out after ${hook.timeout} s`));
    else if (code === 0) done.resolve();
    else done.reject(new NaruError('internal', `hook ${hook.path}: ${signal === null ? `exit status ${code}` : `killed by ${signal}`}`));
  });
  child.stdin.on('error', () => {}); // it need not read it
  child.stdin.end(state);
  await done.promise;
}
