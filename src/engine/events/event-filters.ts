import type { EventMessage, Filters } from '#spec/engine-api.ts';
import { checkFilterKeys, matchesExactly, matchesLabels } from '../filters/match-filters.ts';

const KEYS = new Set(['config', 'container', 'daemon', 'event', 'image', 'label', 'network', 'node', 'plugin', 'scope', 'secret', 'service', 'type', 'volume']);

/** Throws invalid for an unknown key. */
export const checkEventFilters = (filters: Filters): void => checkFilterKeys(filters, KEYS);

/** Does this event pass? Every key must match; of one key's values any. */
export function matchesEvent(event: EventMessage, filters: Filters): boolean {
  if (filters.size === 0) return true;
  const { ID, Attributes } = event.Actor;
  const actor = (type: string): boolean => {
    const wanted = filters.get(type);
    if (wanted === undefined || wanted.length === 0) return true;
    if (event.Type !== type) return false;
    return wanted.some((text) => ID === text || Attributes['name'] === text || (text.length >= 3 && type === 'container' && ID.startsWith(text)));
  };
  // `exec_create: sh -c x` is found by `exec_create`.
  const kind = event.Action.split(':', 1)[0] as string;
  return (
    (matchesExactly(filters, 'event', event.Action) || matchesExactly(filters, 'event', kind)) &&
    matchesExactly(filters, 'type', event.Type) &&
    matchesExactly(filters, 'scope', event.scope) &&
    actor('container') && actor('volume') && actor('network') && actor('daemon') &&
    matchesImage(event, filters) &&
    matchesLabels(filters, Attributes)
  );
}

/** An image is meant by its id, its name, or the name that a container was made from, with or without the tag. */
function matchesImage(event: EventMessage, filters: Filters): boolean {
  const wanted = filters.get('image');
  if (wanted === undefined || wanted.length === 0) return true;
  const names = [event.Type === 'image' ? event.Actor.ID : '', event.Type === 'image' ? event.Actor.Attributes['name'] ?? '' : '', event.Actor.Attributes['image'] ?? ''].filter((name) => name !== '');
  return wanted.some((text) => names.some((name) => name === text || name.replace(/:[^/:]*$/, '') === text));
}
