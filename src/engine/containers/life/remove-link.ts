import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { saveDoc } from '../container-rows.ts';

/** `rm --link /web/db`: the container `web` forgets its link `db`, from its next start on. Throws conflict for a container's own name, not-found. */
export async function removeLink(engine: EngineContext, path: string): Promise<void> {
  const [name = '', alias = '', ...rest] = path.replace(/^\//, '').split('/');
  if (alias === '' || rest.length > 0) {
    engine.containers.find(path);
    throw new NaruError('conflict', 'Conflict, cannot remove the default link name of the container', { hint: 'a link is named as /CONTAINER/ALIAS' });
  }
  const missing = new NaruError('not-found', `No such container: ${path}`, { hint: 'a link is named as /CONTAINER/ALIAS' });
  const container = engine.containers.tryFind(name);
  if (container === undefined) throw missing;
  await container.mutex.run('remove a link', () => {
    const links = container.doc.links ?? [];
    if (!links.some((link) => link.alias === alias)) throw missing;
    container.doc.links = links.filter((link) => link.alias !== alias);
    saveDoc(engine.store.db, container);
  });
}
