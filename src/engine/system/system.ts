import type { System } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { checkSystem } from './check-system.ts';
import { diskUsage } from './disk-usage.ts';
import { infoView } from './info.ts';
import { versionView } from './version.ts';

/** The API's system: what the engine says of itself. */
export const createSystem = (engine: EngineContext, daemonId: string): System => ({
  info: async () => infoView(engine, daemonId),
  version: async () => versionView(engine.version, engine.build),
  check: (options, signal) => checkSystem(engine, options, AbortSignal.any([signal, engine.closing])),
  diskUsage: (types) => diskUsage(engine, types),
  events: (options, signal) => engine.events.read(options, AbortSignal.any([signal, engine.closing])),
});
