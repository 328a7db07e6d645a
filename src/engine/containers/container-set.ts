import { NaruError } from '#spec/errors.ts';
import type { Container } from './container.ts';

/** All containers in memory, by id and by name. Names are reserved before the row is written, so that two creates at once cannot both
 *  have one. */
export class ContainerSet {
  readonly #byId = new Map<string, Container>();
  readonly #idByName = new Map<string, string>();

  get size(): number {
    return this.#byId.size;
  }

  all(): Container[] {
    return [...this.#byId.values()];
  }

  get(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  nameTaken(name: string): boolean {
    return this.#idByName.has(name);
  }

  /** Throws conflict in Docker's words. */
  reserveName(name: string, id: string): void {
    const holder = this.#idByName.get(name);
    if (holder !== undefined) {
      throw new NaruError('conflict', `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`, { hint: `naru rm -f ${name} removes it` });
    }
    this.#idByName.set(name, id);
  }

  releaseName(name: string, id: string): void {
    if (this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  /** The name must be reserved already. */
  add(container: Container): void {
    this.#byId.set(container.id, container);
    this.#idByName.set(container.name, container.id);
  }

  delete(container: Container): void {
    this.#byId.delete(container.id);
    this.releaseName(container.name, container.id);
  }

  /** By full id, name (with or without its slash), or unambiguous id prefix. Throws not-found; invalid for an ambiguous prefix. */
  find(reference: string): Container {
    const container = this.tryFind(reference);
    if (container === undefined) throw new NaruError('not-found', `No such container: ${reference}`, { hint: 'naru ps -a lists those that there are' });
    return container;
  }

  tryFind(reference: string): Container | undefined {
    if (reference === '') throw new NaruError('invalid', 'container name or id is empty');
    const exact = this.#byId.get(reference) ?? this.#byId.get(this.#idByName.get(reference.startsWith('/') ? reference.slice(1) : reference) ?? '');
    if (exact !== undefined) return exact;
    if (!/^[0-9a-f]{1,64}$/.test(reference)) return undefined;
    let found: Container | undefined;
    for (const [id, container] of this.#byId) {
      if (!id.startsWith(reference)) continue;
      if (found !== undefined) throw new NaruError('invalid', `multiple IDs found with provided prefix: ${reference}`);
      found = container;
    }
    return found;
  }
}
