import type { ApiMinor } from './api-version.ts';

/**
 * What older API versions saw differently: one line a change. An answer goes through every change whose version is newer
 * than the client's. https://docs.docker.com/reference/api/engine/version-history/
 */
type Shape = Record<string, unknown>;
interface Change { readonly before: ApiMinor; readonly what: Answer; apply(answer: Shape): void }
export type Answer = 'container' | 'container-summary' | 'image' | 'image-summary' | 'network' | 'info' | 'disk-usage';

const CHANGES: readonly Change[] = [
  { before: 48, what: 'container', apply: (it) => drop(it, 'ImageManifestDescriptor') },
  { before: 44, what: 'container', apply: ownMacAddress },
  { before: 46, what: 'container-summary', apply: (it) => drop(it.HostConfig as Shape, 'Annotations') },
  { before: 48, what: 'container-summary', apply: (it) => drop(it, 'ImageManifestDescriptor') },
  { before: 48, what: 'image', apply: (it) => drop(it, 'Descriptor', 'Manifests') },
  { before: 50, what: 'image', apply: (it) => void (it.Config = { ...emptyConfig(), ...(it.Config as Shape | null) }) },
  { before: 45, what: 'image', apply: (it) => void Object.assign(it, { Container: '', ContainerConfig: emptyConfig() }) },
  { before: 44, what: 'image', apply: (it) => void Object.assign(it, { VirtualSize: it.Size, Created: it.Created ?? '0001-01-01T00:00:00Z' }) },
  { before: 44, what: 'image-summary', apply: (it) => void (it.VirtualSize = it.Size) },
  { before: 43, what: 'image-summary', apply: nonePlaceholders },
  { before: 47, what: 'network', apply: (it) => drop(it, 'EnableIPv4') },
  { before: 50, what: 'info', apply: (it) => void Object.assign(it, { BridgeNfIptables: true, BridgeNfIp6tables: true }) },
  { before: 44, what: 'disk-usage', apply: (it) => each(it.Images, (image) => void (image.VirtualSize = image.Size)) },
  { before: 42, what: 'disk-usage', apply: (it) => void (it.BuilderSize = 0) },
];

/** Compose in Python takes the newest version that is offered, and then reads fields which 1.45 left out. */
const COMPOSE_V1 = /^docker-compose\/1\./;
const COMPOSE_V1_MINOR: ApiMinor = 44;

/** The version in whose shape a client reads what it is sent. */
export const shapeFor = (userAgent: string | undefined, version: ApiMinor): ApiMinor =>
  userAgent !== undefined && COMPOSE_V1.test(userAgent) ? Math.min(version, COMPOSE_V1_MINOR) : version;

/** A copy of `answer` in the client's shape; the same object when nothing differs. */
export function asOlder<T extends object>(answer: T, what: Answer, version: ApiMinor): T {
  const changes = CHANGES.filter((change) => change.what === what && version < change.before);
  if (changes.length === 0) return answer;
  const copy = structuredClone(answer);
  for (const change of changes) change.apply(copy as Shape);
  return copy;
}

function drop(from: Shape | undefined, ...names: readonly string[]): void {
  for (const name of names) delete from?.[name];
}

function each(items: unknown, change: (item: Shape) => void): void {
  if (Array.isArray(items)) items.forEach(change);
}

/** The MAC address belonged to the container, not to the endpoint. */
function ownMacAddress(container: Shape): void {
  const settings = container.NetworkSettings as { Networks?: Record<string, { MacAddress?: string }> } | undefined;
  const config = container.Config as { MacAddress?: string } | undefined;
  const mac = Object.values(settings?.Networks ?? {})[0]?.MacAddress;
  if (config !== undefined && mac !== undefined && mac !== '') config.MacAddress ??= mac;
}

function nonePlaceholders(image: Shape): void {
  if ((image.RepoTags as string[] | undefined)?.length === 0) image.RepoTags = ['<none>:<none>'];
  if ((image.RepoDigests as string[] | undefined)?.length === 0) image.RepoDigests = ['<none>@<none>'];
}

const emptyConfig = (): Shape => ({
  Hostname: '', Domainname: '', User: '', AttachStdin: false, AttachStdout: false, AttachStderr: false, Tty: false,
  OpenStdin: false, StdinOnce: false, Env: null, Cmd: null, Image: '', Volumes: null, WorkingDir: '', Entrypoint: null,
  OnBuild: null, Labels: null,
});
