import type { Execs } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { createExec, execCreated, inspectExec } from './create-exec.ts';
import { execIo, prepareExec } from './start-exec.ts';

/** The API's execs. */
export function createExecs(engine: EngineContext): Execs {
  return {
    async create(name, config) {
      const container = engine.containers.find(name);
      const exec = createExec(engine, container, config);
      // While the answer is on its way: nobody can ask for either before.
      setImmediate(() => {
        execCreated(engine, container, exec);
        const attached = config.AttachStdin === true || config.AttachStdout === true || config.AttachStderr === true;
        engine.execs.ahead.make(engine, exec, execIo(exec, attached, config.ConsoleSize ?? undefined));
      });
      return { Id: exec.id };
    },
    startPrepare: async (id, options) => prepareExec(engine, engine.execs.find(id), options),
    async resize(id, rows, columns) {
      const exec = engine.execs.find(id);
      exec.terminal = { rows, columns };
      if (exec.state === 'running' || exec.state === 'starting') exec.task?.resize(rows, columns);
    },
    async inspect(id) {
      const exec = engine.execs.find(id);
      // A client asks when its stream ended, which may come through before the shim's word does.
      await exec.task?.caughtUp();
      return inspectExec(exec);
    },
  };
}
