import { NaruError } from '#spec/errors.ts';
import type { Filters } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import { booleanFilter, checkFilterKeys, matchesExactly, matchesLabels, matchesPattern } from '../../filters/match-filters.ts';
import type { Container } from '../container.ts';
import { networkNamesOf } from '../network-names.ts';
import { portSummaries } from './network-view.ts';
import { shownStatus } from './status-text.ts';

const KEYS = new Set([
  'ancestor', 'before', 'expose', 'exited', 'health', 'id', 'isolation', 'is-task', 'label', 'name', 'network', 'publish', 'since', 'status', 'volume',
]);
const STATUSES = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']);
const HEALTH = new Set(['none', 'starting', 'healthy', 'unhealthy']);

/** The filters of `ps` as one predicate. Throws invalid for unknown keys and values, not-found for containers that `before` and `since`
 *  name. */
export function containerFilter(engine: EngineContext, filters: Filters): (container: Container) => boolean {
  if (filters.size === 0) return () => true;
  checkFilterKeys(filters, KEYS);
  for (const status of filters.get('status') ?? []) {
    if (!STATUSES.has(status)) throw new NaruError('invalid', `invalid filter 'status=${status}': invalid value for state (${status}): must be one of ${[...STATUSES].join(', ')}`);
  }
  for (const health of filters.get('health') ?? []) {
    if (!HEALTH.has(health)) throw new NaruError('invalid', `invalid filter 'health=${health}': invalid value for health (${health}): must be one of ${[...HEALTH].join(', ')}`);
  }
  const codes = filters.get('exited')?.map((text) => {
    if (!/^[+-]?\d+$/.test(text)) throw new NaruError('invalid', `invalid filter 'exited=${text}': strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    return Number(text);
  });
  const boundary = (key: string): string[] => (filters.get(key) ?? []).map((name) => engine.containers.find(name).doc.created);
  const before = boundary('before');
  const since = boundary('since');
  const ancestors = filters.has('ancestor') ? ancestorIds(engine, filters.get('ancestor')!) : undefined;
  const isTask = booleanFilter(filters, 'is-task');
  const published = portRanges(filters, 'publish');
  const exposed = portRanges(filters, 'expose');

  return (container) => {
    const { state, doc } = container;
    return (
      matchesExactly(filters, 'status', shownStatus(container)) &&
      (codes === undefined || (codes.includes(state.exitCode) && ['exited', 'dead'].includes(state.status))) &&
      matchesPattern(filters, 'id', container.id) &&
      nameMatches(filters, container.name) &&
      matchesLabels(filters, container.labels) &&
      matchesExactly(filters, 'health', state.health?.Status ?? 'none') &&
      before.every((created) => doc.created < created) &&
      since.every((created) => doc.created > created) &&
      (ancestors === undefined || ancestors.has(doc.imageId)) &&
      isTask !== true &&
      volumeMatches(filters, container) &&
      networkMatches(engine, filters, container) &&
      portMatches(published, 'publish', container) &&
      portMatches(exposed, 'expose', container)
    );
  };
}

/** A name is matched as it is and with its slash. */
const nameMatches = (filters: Filters, name: string): boolean => matchesPattern(filters, 'name', name) || matchesPattern(filters, 'name', `/${name}`);

/** The images named, and all that are built on one of them. */
function ancestorIds({ store }: EngineContext, names: readonly string[]): Set<string> {
  const ids = new Set<string>();
  const tops = new Set<string>();
  for (const name of names) {
    const image = store.images.find(name);
    if (image === undefined) continue;
    ids.add(image.id);
    const top = image.chainIds.at(-1);
    if (top !== undefined) tops.add(top);
  }
  if (tops.size > 0) {
    for (const image of store.images.list()) if (image.chainIds.some((chain) => tops.has(chain))) ids.add(image.id);
  }
  return ids;
}

function volumeMatches(filters: Filters, { doc }: Container): boolean {
  const wanted = filters.get('volume');
  if (wanted === undefined || wanted.length === 0) return true;
  return doc.mounts.some((mount) => wanted.includes(mount.name ?? '') || wanted.includes(mount.destination) || (mount.type === 'bind' && wanted.includes(mount.source)));
}

function networkMatches({ networks }: EngineContext, filters: Filters, { doc }: Container): boolean {
  const wanted = filters.get('network');
  if (wanted === undefined || wanted.length === 0) return true;
  return networkNamesOf({ doc }).some((own) => wanted.some((name) => name === own || (name.length >= 3 && networks.tryFind(own)?.id.startsWith(name) === true)));
}

interface PortRange { readonly from: number; readonly to: number; readonly protocol: string }

/** `80`, `80/udp`, `8000-8010/tcp`. Throws invalid in Docker's words (those of Go's strconv). */
function portRanges(filters: Filters, key: 'publish' | 'expose'): readonly PortRange[] | undefined {
  const wanted = filters.get(key);
  return wanted === undefined || wanted.length === 0 ? undefined : wanted.map((text) => {
    if (text.includes(':')) throw new NaruError('invalid', `filter for '${key}' should not contain ':': ${text}`);
    const bad = (why: string): NaruError => new NaruError('invalid', `error while looking up for ${key} ${text}: ${why}`);
    const [ports = '', protocol = ''] = text.split('/');
    if (ports === '') throw bad('empty string specified for ports');
    const [from, to = from] = ports.split('-', 2).map((number) => {
      if (!/^\d+$/.test(number)) throw bad(`strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`);
      if (Number(number) > 65535) throw bad(`strconv.ParseUint: parsing ${JSON.stringify(number)}: value out of range`);
      return Number(number);
    }) as [number, number?];
    if (to < from) throw bad(`invalid range specified for port: ${ports}`);
    return { from, to, protocol: protocol === '' ? 'tcp' : protocol };
  });
}

function portMatches(wanted: readonly PortRange[] | undefined, key: 'publish' | 'expose', container: Container): boolean {
  if (wanted === undefined) return true;
  const has = portSummaries(container).flatMap(({ PrivatePort, PublicPort, Type }) => {
    const port = key === 'publish' ? PublicPort : PrivatePort;
    return port === undefined ? [] : [{ port, protocol: Type }];
  });
  if (key === 'expose' && has.length === 0) {
    for (const exposed of Object.keys(container.doc.config.ExposedPorts ?? {})) {
      const [port, protocol = 'tcp'] = exposed.split('/');
      has.push({ port: Number(port), protocol });
    }
  }
  return wanted.some(({ from, to, protocol }) => has.some((each) => each.port >= from && each.port <= to && each.protocol === protocol));
}
