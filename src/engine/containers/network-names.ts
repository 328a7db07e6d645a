import type { Container } from './container.ts';

/** The networks that a container is to be on, by name; the one of NetworkMode first. None when it is on another's. */
export function networkNamesOf({ doc }: Pick<Container, 'doc'>): string[] {
  const mode = doc.hostConfig.NetworkMode ?? 'bridge';
  if (mode.startsWith('container:') || doc.config.NetworkDisabled === true) return [];
  const names = Object.keys(doc.endpoints);
  return names.length > 0 ? names : doc.networksChosen === true ? [] : [mode];
}
