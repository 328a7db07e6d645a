import { mkdirSync, rmSync } from 'node:fs';
import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { EndpointRecord } from '#net/port.ts';
import type { EngineContext } from '../engine-context.ts';
import { Container, newRunState } from './container.ts';
import { checkName, newContainerId } from './container-names.ts';
import { stateDirectory } from './container-paths.ts';
import { designContainer, pathsLookedAt } from './create/design-container.ts';
import { reserveEndpoints } from './life/launch.ts';
import { imageSnapshots } from './life/remove-container.ts';
import { buildTaskRequest } from './to-spec/build-task-request.ts';

/** The plan for a request, as text. Whatever had to be made to know it (a snapshot, an address) is given back. */
export async function planContainer(engine: EngineContext, name: string | undefined, request: ContainerCreateRequest): Promise<string> {
  const id = newContainerId();
  await engine.answers.of(pathsLookedAt(request));
  const { doc } = designContainer(engine, request, { id, platform: undefined });
  const container = new Container({ id, name: name === undefined || name === '' ? 'plan' : checkName(name), imageId: doc.imageId, doc, state: newRunState() });
  const rootfs = doc.hostConfig['naru.Rootfs'];
  await using undo = new AsyncDisposableStack();
  engine.store.snapshots.create(id, rootfs === undefined ? { image: doc.imageId as Digest } : { directory: rootfs }, { durable: false });
  undo.defer(() => engine.store.snapshots.remove(id));
  const endpoints = reserveEndpoints(engine, container);
  undo.defer(() => engine.network.release(endpoints));
  const directory = stateDirectory(engine, id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));
  undo.defer(async () => void (await Promise.all(imageSnapshots(container).map((snapshot) => engine.store.snapshots.remove(snapshot)))));
  const planned = buildTaskRequest(engine, container, endpoints, { dry: true, given: request });
  return engine.tasks.plan(planned) + publishing(endpoints, request);
}

/** What the daemon itself does beside the plan: a published port is an element of an nftables map. */
function publishing(endpoints: readonly EndpointRecord[], { HostConfig }: ContainerCreateRequest): string {
  const all = HostConfig?.PublishAllPorts === true;
  const bound = new Set(Object.keys(HostConfig?.PortBindings ?? {}).map((port) => (port.includes('/') ? port : `${port}/tcp`)));
  return endpoints.flatMap(({ address, ipv6, ports }) => ports.map(({ hostIp, hostPort, containerPort, protocol }) => {
    const port = `${containerPort}/${protocol}`;
    const at = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);
    return `  - daemon  publish("${at(hostIp)}:${hostPort}/${protocol}", "${at(hostIp.includes(':') ? ipv6 || address : address)}:${containerPort}")  # an element of an nftables map (${all && !bound.has(port) ? '--publish-all' : `--publish ${port}`})\n`;
  })).join('');
}
