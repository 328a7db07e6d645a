import type { ExecConfig } from '#spec/engine-api.ts';
import type { OciProcess, OciSpec } from '#spec/oci-runtime.ts';
import { availableCapabilities } from '#runtime/capabilities/capabilities.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { mergeEnvironment } from './build-process.ts';
import { capabilitySets } from './build-security.ts';
import { findProcessUser } from './process-user.ts';

/** Another process in a container: its environment and rights, with what the exec changes. Throws when there is no such user. */
export function execProcess(engine: EngineContext, container: Container, { config, spec }: { config: ExecConfig; spec: OciSpec }): OciProcess {
  const base = spec.process!;
  const own = container.doc.config;
  const asked = config.User ?? '';
  const { user, home } = asked === '' ? { user: base.user, home: undefined } : findProcessUser(engine, container, { user: asked, groups: container.doc.hostConfig.GroupAdd ?? [] });
  const bounding = config.Privileged === true ? [...availableCapabilities()] : base.capabilities?.bounding ?? [];
  const environment = base.env ?? [];
  const process: OciProcess = {
    ...base, user, args: config.Cmd ?? [], cwd: config.WorkingDir || own.WorkingDir || '/', terminal: config.Tty === true, capabilities: capabilitySets(bounding, user.uid),
    env: mergeEnvironment([...(config.Tty === true ? ['TERM=xterm'] : []), ...environment, ...(home === undefined || (own.Env ?? []).some((variable) => variable.startsWith('HOME=')) ? [] : [`HOME=${home}`])], config.Env ?? []),
  };
  if (config.Privileged === true) process.noNewPrivileges = false;
  return process;
}
