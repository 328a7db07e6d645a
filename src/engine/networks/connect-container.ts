import { NaruError } from '#spec/errors.ts';
import type { EndpointSettings } from '#spec/engine-api.ts';
import type { NetworkRecord } from '#net/port.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from '../containers/container.ts';
import { saveDoc } from '../containers/container-rows.ts';
import { checkEndpoint } from '../containers/create/endpoints.ts';
import { attachmentRequest, portsOf } from '../containers/life/launch.ts';
import { networkEvent } from '../containers/life/release-run.ts';
import { networkNamesOf } from '../containers/network-names.ts';
import { switchToResolver, tellResolver } from './container-dns.ts';

/** Under the container's mutex: in the document, and in the live namespace of one that runs. Throws in Docker's words. */
export function connectContainer(engine: EngineContext, record: NetworkRecord, { container, settings }: { container: Container; settings: EndpointSettings }): Promise<void> {
  return container.mutex.run('connect to a network', async () => {
    const names = networkNamesOf(container);
    const mode = container.doc.hostConfig.NetworkMode ?? 'bridge';
    if (record.driver === 'host') throw new NaruError('forbidden', 'cannot connect container to host network - container must be created in host network mode');
    if (mode === 'host') throw new NaruError('forbidden', 'cannot disconnect container from host network - container was created in host network mode');
    if (mode.startsWith('container:')) throw new NaruError('invalid', 'conflicting options: container sharing network namespace with another container or host cannot be connected to any other network');
    if (record.driver === 'null' || names.includes('none')) throw new NaruError('forbidden', 'container cannot be connected to multiple networks with one of the networks in private (none) mode');
    if (names.includes(record.name)) throw new NaruError('forbidden', `endpoint with name ${container.name} already exists in network ${record.name}`);
    if (container.state.status === 'removing' || container.state.status === 'dead') throw new NaruError('conflict', `container ${container.id} is marked for removal and cannot be connected or disconnected to the network`);
    checkEndpoint(record, settings);
    const { state, doc } = container;
    if (container.task !== undefined) {
      state.endpoints = engine.network.connect({ containerId: container.id, pid: container.task.pid, endpoints: state.endpoints }, {
        containerId: container.id, containerName: container.name, networks: [attachmentRequest(record, settings)], ports: portsOf(container),
      });
    }
    const current = Object.fromEntries(names.map((name) => [name, doc.endpoints[name] ?? {}]));
    doc.endpoints = { ...current, [record.name]: { ...settings, NetworkID: record.id } };
    saveDoc(engine.store.db, container);
    if (container.task !== undefined) switchToResolver(engine, container);
    tellResolver(engine, container);
    if (container.task !== undefined) await engine.network.announce({ containerId: container.id, pid: container.task.pid, endpoints: state.endpoints }, record.id);
    if (container.task !== undefined) networkEvent(engine, { container: container.id, name: record.name }, 'connect');
  });
}

/** As `connectContainer`. */
export function disconnectContainer(engine: EngineContext, record: NetworkRecord, { container, force }: { container: Container; force: boolean }): Promise<void> {
  return container.mutex.run('disconnect from a network', async () => {
    const names = networkNamesOf(container);
    if (record.driver === 'host' && names.includes('host')) throw new NaruError('forbidden', 'container cannot be disconnected from host network or connected to host network');
    if (!names.includes(record.name)) {
      if (force && container.task === undefined) return;
      throw new NaruError('forbidden', `container ${container.id} is not connected to network ${record.name}`);
    }
    const { state, doc } = container;
    if (container.task !== undefined) {
      state.endpoints = await engine.network.disconnect({ containerId: container.id, pid: container.task.pid, endpoints: state.endpoints }, record.id);
    }
    doc.endpoints = Object.fromEntries(names.filter((name) => name !== record.name).map((name) => [name, doc.endpoints[name] ?? {}]));
    doc.networksChosen = true;
    saveDoc(engine.store.db, container);
    tellResolver(engine, container);
    if (container.task !== undefined) networkEvent(engine, { container: container.id, name: record.name }, 'disconnect');
  });
}
