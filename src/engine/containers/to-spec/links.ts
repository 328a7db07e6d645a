import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { stateDirectory } from '../container-paths.ts';
import { parsePort } from '../create/ports.ts';

const bridgeAddress = ({ state }: Container): string => state.endpoints.find((each) => each.network === 'bridge')?.address ?? '';

interface Linked { readonly alias: string; readonly target: Container; readonly address: string }

/** What the container is linked to. Throws conflict, in Docker's words, when one of them does not run. */
function linked(engine: EngineContext, container: Container): Linked[] {
  return (container.doc.links ?? []).flatMap(({ id, alias }) => {
    const target = engine.containers.get(id);
    if (target === undefined) return [];
    const address = bridgeAddress(target);
    if (target.task === undefined || !address) throw new NaruError('conflict', `Cannot link to a non running container: /${target.name} AS /${container.name}/${alias}`);
    return [{ alias, target, address }];
  });
}

/** Lines for /etc/hosts: address, alias, host name, name. */
export const linkHosts = (engine: EngineContext, container: Container): string =>
  linked(engine, container).map((link) => hostsLine(link)).join('');

function hostsLine({ alias, target, address }: Linked): string {
  return `${address}\t${[...new Set([alias, target.doc.config.Hostname || target.shortId, target.name])].join(' ')}\n`;
}

/** Docker's variables of old: where each exposed port is, and the other's own environment. */
export function linkEnvironment(engine: EngineContext, container: Container): string[] {
  return linked(engine, container).flatMap(({ alias, target, address }) => {
    const prefix = alias.replaceAll('-', '_').toUpperCase();
    const ports = Object.keys(target.doc.config.ExposedPorts ?? {}).map(parsePort).sort((a, b) => a.port - b.port);
    const variables = [`${prefix}_NAME=/${container.name}/${alias}`];
    const first = ports.find(({ protocol }) => protocol === 'tcp') ?? ports[0];
    if (first !== undefined) variables.push(`${prefix}_PORT=${first.protocol}://${address}:${first.port}`);
    for (const { port, protocol } of ports) {
      const name = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
      variables.push(`${name}=${protocol}://${address}:${port}`, `${name}_ADDR=${address}`, `${name}_PORT=${port}`, `${name}_PROTO=${protocol}`);
    }
    for (const variable of target.doc.config.Env ?? []) {
      if (variable.includes('=') && !/^(HOME|PATH)=/.test(variable)) variables.push(`${prefix}_ENV_${variable}`);
    }
    return variables;
  });
}

/** A container came up, perhaps at another address: the hosts files of those that run and link to it follow. Edits by hand stay. */
export function updateLinkedHosts(engine: EngineContext, target: Container): void {
  const address = bridgeAddress(target);
  if (!address) return;
  for (const container of engine.containers.all()) {
    if (container.task === undefined || container === target) continue;
    for (const { id, alias } of container.doc.links ?? []) {
      if (id !== target.id) continue;
      const path = join(stateDirectory(engine, container.id), 'hosts');
      try {
        const lines = readFileSync(path, 'utf8').split('\n').filter((line) => !(line.split('\t')[1] ?? '').split(' ').includes(alias));
        writeFileSync(path, `${lines.join('\n').replace(/\n*$/, '\n')}${hostsLine({ alias, target, address })}`);
      } catch (error) {
        engine.report(error, `tell container ${container.name} where ${target.name} is now`);
      }
    }
  }
}
