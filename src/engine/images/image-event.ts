import type { EngineContext } from '../engine-context.ts';

/** An event of an image: its labels and the name it was asked by. */
export function imageEvent({ events, store }: Pick<EngineContext, 'events' | 'store'>, { id, name }: { id: string; name: string }, action: string): void {
  const labels = store.images.find(id)?.config.config?.Labels ?? {};
  events.emit('image', action, { id, attributes: { ...labels, name } });
}
