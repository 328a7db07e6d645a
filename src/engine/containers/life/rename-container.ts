import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { tellResolver } from '../../networks/container-dns.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { checkName } from '../container-names.ts';
import { saveName } from '../container-rows.ts';

/** Throws conflict when the name is taken, invalid when it is none. */
export function renameContainer(engine: EngineContext, container: Container, to: string): Promise<void> {
  return container.mutex.run('rename', () => {
    if (to === '') throw new NaruError('invalid', 'Neither old nor new names may be empty');
    if (to.replace(/^\//, '') === container.name) throw new NaruError('invalid', 'Renaming a container with the same name as its current name');
    const name = allocate(engine, container, to);
    const old = container.name;
    try {
      saveName(engine.store.db, container.id, name);
    } catch (error) {
      engine.containers.releaseName(name, container.id);
      throw error;
    }
    container.name = name;
    engine.containers.releaseName(old, container.id);
    tellResolver(engine, container);
    containerEvent(engine, container, 'rename', { oldName: `/${old}` });
  });
}

function allocate(engine: EngineContext, { id }: Container, to: string): string {
  try {
    const name = checkName(to);
    engine.containers.reserveName(name, id);
    return name;
  } catch (error) {
    throw error instanceof NaruError ? new NaruError(error.kind, `Error when allocating new name: ${error.message}`, { cause: error }) : error;
  }
}
