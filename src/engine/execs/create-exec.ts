import { randomBytes } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { ExecConfig, ExecInspect } from '#spec/engine-api.ts';
import { parseDetachKeys } from '../attach/detach-keys.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from '../containers/container.ts';
import { notRunning } from '../containers/life/not-running.ts';
import { validateConfig } from '../containers/create/validate-config.ts';
import { execEvent } from './exec-event.ts';
import type { Exec } from './exec.ts';

/** Throws conflict when the container does not run or is paused, invalid for an exec that cannot be. */
export function createExec(engine: EngineContext, container: Container, config: ExecConfig): Exec {
  checkCanExec(container);
  if ((config.Cmd ?? []).length === 0) throw new NaruError('invalid', 'No exec command specified');
  validateConfig({ Cmd: config.Cmd ?? [], Env: config.Env ?? [], WorkingDir: '/' });
  if (config.WorkingDir && !config.WorkingDir.startsWith('/')) throw new NaruError('invalid', `the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  parseDetachKeys(config.DetachKeys ?? '', 'escape');
  const exec: Exec = {
    id: randomBytes(32).toString('hex'), containerId: container.id, config, state: 'created', exitCode: null, pid: 0, task: undefined, terminal: undefined,
  };
  engine.execs.add(exec);
  return exec;
}

/** Tells everybody else. */
export const execCreated = (engine: EngineContext, container: Container, exec: Exec): void =>
  execEvent(engine, container, exec, `exec_create: ${exec.config.Cmd!.join(' ')}`);

/** Throws conflict, in Docker's words. */
export function checkCanExec(container: Container): void {
  const { status } = container.state;
  if (status === 'paused') throw new NaruError('conflict', `Container ${container.name} is paused, unpause the container before exec`);
  if (status === 'restarting') throw new NaruError('conflict', `Container ${container.id} is restarting, wait until the container is running`);
  if (status !== 'running') throw notRunning(container);
}

export function inspectExec(exec: Exec): ExecInspect {
  const { config } = exec;
  const [entrypoint = '', ...args] = config.Cmd ?? [];
  return {
    ID: exec.id, Running: exec.state === 'running' || exec.state === 'starting', ExitCode: exec.exitCode,
    ProcessConfig: { tty: config.Tty === true, entrypoint, arguments: args, privileged: config.Privileged === true, ...(config.User ? { user: config.User } : {}) },
    OpenStdin: config.AttachStdin === true, OpenStderr: config.AttachStderr === true, OpenStdout: config.AttachStdout === true,
    CanRemove: exec.state === 'exited', ContainerID: exec.containerId, DetachKeys: hexKeys(config.DetachKeys ?? ''), Pid: exec.pid,
  };
}

/** As Docker shows them: the bytes, in text. */
const hexKeys = (keys: string): string => (keys === '' ? '' : Buffer.from(parseDetachKeys(keys)).toString('latin1'));
