import type { RegistryClientOptions } from '#registry/client/repository.ts';
import type { EngineContext } from '../engine-context.ts';

/** What an administrator says of registries, one file per host (registry/client/host-config.ts). */
export const DEFAULT_REGISTRIES = '/etc/naru/registries.d';
const DOCKER_CERTIFICATES = '/etc/docker/certs.d';

/** How this daemon speaks to registries. */
export const registryOptions = ({ registries, version, settings }: Pick<EngineContext, 'registries' | 'version' | 'settings'>): RegistryClientOptions => ({
  directories: { registries: registries ?? DEFAULT_REGISTRIES, certificates: DOCKER_CERTIFICATES, insecure: settings().insecureRegistries, hubMirrors: settings().registryMirrors },
  env: process.env,
  userAgent: `naru/${version} (linux; ${process.arch})`,
});
