import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { saveDoc } from '../container-rows.ts';

/** `rm --link /web/db`: the container `web` forgets its link `db`, from its next start on. Throws invalid for another form, not-found. */
export async function removeLink(engine: EngineContext, path: string): Promise<void> {
  const [name = '', alias = '', ...rest] = path.replace(/^\//, '').split('/');
  if (name === '' || alias === '' || rest.length > 0) throw new NaruError('invalid', `cannot remove link ${path}: name it as /CONTAINER/ALIAS`);
  const container = engine.containers.find(name);
  await container.mutex.run('remove a link', () => {
    const links = container.doc.links ?? [];
    if (!links.some((link) => link.alias === alias)) throw new NaruError('not-found', `cannot get parent container for name ${path}: no link ${alias} of container ${name}`);
    container.doc.links = links.filter((link) => link.alias !== alias);
    saveDoc(engine.store.db, container);
  });
}
