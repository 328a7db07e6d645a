import type { Execs } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { createExec, inspectExec } from './create-exec.ts';
import { prepareExec } from './start-exec.ts';

/** The API's execs. */
export function createExecs(engine: EngineContext): Execs {
  return {
    create: async (container, config) => ({ Id: createExec(engine, engine.containers.find(container), config).id }),
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
