import type { StringMap } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from '../containers/container.ts';

/** An event of a container, with Docker's attributes: its labels, the image, its name, and the action's own. */
export function containerEvent({ events }: Pick<EngineContext, 'events'>, container: Container, action: string, extra: StringMap = {}): void {
  events.emit('container', action, { id: container.id, attributes: { ...container.labels, image: container.doc.config.Image ?? '', name: container.name, ...extra } });
}
