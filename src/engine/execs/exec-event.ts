import type { StringMap } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import type { Container } from '../containers/container.ts';
import type { Exec } from './exec.ts';

/** `exec_create: …`, `exec_start: …`, `exec_die`. */
export function execEvent(engine: EngineContext, container: Container, exec: Exec, action: string, extra: StringMap = {}): void {
  containerEvent(engine, container, action, { execID: exec.id, ...extra });
}
