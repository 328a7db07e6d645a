import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import { isKind, NaruError } from '#spec/errors.ts';
import type { CommandContext } from '../command.ts';
import { fs } from '../on-demand.ts';
import { createRequest } from './create-request.ts';
import { apiTag, familiarString, fullName, isImageId, parseImageReference, type ImageReference } from './image-reference.ts';
import { normalizePlatform } from './platform.ts';
import { proxyEnvironment } from './proxy-environment.ts';

/** The request of a `run` or `create` command line, checked. Throws NaruError invalid. */
export function requestOf(context: CommandContext): ContainerCreateRequest {
  const { flags, args, env } = context;
  const pull = flags.string('pull');
  if (!['always', 'missing', 'never', ''].includes(pull)) throw new NaruError('invalid', `invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
  const overDirectory = flags.changed('rootfs');
  const request = createRequest(flags, overDirectory ? '' : (args[0] as string), overDirectory ? args : args.slice(1), env);
  const given = request.Env ?? [];
  request.Env = [...given, ...proxyEnvironment(context.config(), context.client().host, given)];
  return request;
}

/** Creates the container, pulling the image first when it is missing. Returns its id. */
export async function createContainer(context: CommandContext, request: ContainerCreateRequest): Promise<string> {
  const { flags, io } = context;
  const idFile = openIdFile(flags.string('cidfile'));
  try {
    const reference = request.Image === '' || isImageId(request.Image ?? '') ? undefined : parseImageReference(request.Image ?? '');
    const platform = platformOf(context);
    const options = { ...(flags.string('name') === '' ? {} : { name: flags.string('name') }), ...(platform === undefined ? {} : { platform }) };
    const pull = flags.string('pull');
    if (pull === 'always' && reference !== undefined) await pullImage(context, reference, platform);
    if (request.HostConfig !== undefined && flags.bool('tty')) {
      const size = await io.size();
      if (size !== undefined) request.HostConfig.ConsoleSize = [size.rows, size.columns];
    }
    const { containers } = context.client();
    const whenMade = flags.bool('use-api-socket') ? await (await import('./api-socket.ts')).giveApiSocket(context, request) : undefined;
    let answer;
    try {
      answer = await containers.create(request, options);
    } catch (error) {
      if (!isKind(error, 'not-found') || reference === undefined || (pull !== 'missing' && pull !== '')) throw error;
      if (!flags.bool('quiet')) io.err(`Unable to find image '${familiarString(reference)}' locally\n`);
      await pullImage(context, reference, platform);
      answer = await containers.create(request, options);
    }
    const loopback = (request.HostConfig?.Dns ?? []).filter((address) => /^127\.|^::1$/.test(address));
    for (const warning of [...(answer.Warnings ?? []), ...loopback.slice(0, 1).map((address) => `Localhost DNS (${address}) may fail in containers.`)]) io.err(`WARNING: ${warning}\n`);
    await whenMade?.(answer.Id);
    idFile?.write(answer.Id);
    return answer.Id;
  } finally {
    idFile?.close();
  }
}

async function pullImage(context: CommandContext, reference: ImageReference, platform: string | undefined): Promise<void> {
  const { displayProgress } = await import('../progress.ts');
  const { registryAuth } = await import('../registry-auth.ts');
  const auth = await registryAuth(context.config(), reference.domain);
  const messages = context.client().images.pull(fullName(reference), apiTag(reference), { ...(platform === undefined ? {} : { platform }), ...(auth === undefined ? {} : { auth }) });
  await displayProgress(messages, context.io, context.flags.bool('quiet') ? undefined : 2);
}

/** `--platform`, or DOCKER_DEFAULT_PLATFORM. */
export function platformOf(context: CommandContext): string | undefined {
  const text = context.flags.changed('platform') ? context.flags.string('platform') : (context.env['DOCKER_DEFAULT_PLATFORM'] ?? '');
  if (text === '') return undefined;
  try {
    return normalizePlatform(text);
  } catch (cause) {
    throw new NaruError('invalid', `error parsing specified platform: ${(cause as Error).message}`, { cause });
  }
}

function openIdFile(path: string): { write(id: string): void; close(): void } | undefined {
  if (path === '') return undefined;
  if (fs().existsSync(path)) throw new NaruError('invalid', `container ID file found, make sure the other container isn't running or delete ${path}`);
  let fd: number;
  try {
    fd = fs().openSync(path, 'wx');
  } catch (cause) {
    throw new NaruError('invalid', `failed to create the container ID file: ${(cause as Error).message}`, { cause });
  }
  let written = false;
  return {
    write(id) {
      fs().writeSync(fd, id);
      written = true;
    },
    close() {
      fs().closeSync(fd);
      if (!written) fs().unlinkSync(path);
    },
  };
}
