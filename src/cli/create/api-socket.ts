import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { Client } from '#client/client.ts';
import type { CommandContext } from '../command.ts';
import { BLOCK, encodeHeader, padded } from '../tar/tar-header.ts';

const SOCKET = '/var/run/docker.sock';
const DIRECTORY = '/run/secrets/docker';

/** `--use-api-socket`: the daemon's socket is bound into the container, whose clients also find your logins. Throws invalid for a daemon
 *  that is not reached by a socket of this machine. */
export async function giveApiSocket(context: CommandContext, request: ContainerCreateRequest): Promise<(id: string) => Promise<void>> {
  const { host } = context.client();
  if (!host.startsWith('unix://')) throw new NaruError('invalid', `--use-api-socket needs a daemon on a unix socket of this machine, not ${host}`);
  request.HostConfig ??= {};
  request.HostConfig.Mounts = [...(request.HostConfig.Mounts ?? []), { Type: 'bind', Source: host.slice('unix://'.length), Target: SOCKET, BindOptions: {} }];
  const { allLogins } = await import('../registry-auth.ts');
  const auths = await allLogins(context.config());
  if (Object.keys(auths).length === 0) return async () => undefined;
  request.Env = [...(request.Env ?? []), `DOCKER_CONFIG=${DIRECTORY}`];
  return (id) => putLogins(context.client(), id, auths);
}

/** Into the container's own tree: no other container sees them, no image is made with them unless it is committed. */
async function putLogins(client: Client, id: string, auths: object): Promise<void> {
  const content = Buffer.from(JSON.stringify({ auths }, null, '\t'));
  const header = encodeHeader({ path: `${DIRECTORY}/config.json`, type: 'file', mode: 0o600, uid: 0, gid: 0, size: content.length, mtime: Math.floor(Date.now() / 1000), link: '', deviceMajor: 0, deviceMinor: 0 });
  const archive = Buffer.concat([header, content, new Uint8Array(padded(content.length) - content.length), new Uint8Array(2 * BLOCK)]);
  await client.containers.putArchive(id, '/', (async function* () {
    yield archive;
  })(), { noOverwriteDirNonDir: true });
}
