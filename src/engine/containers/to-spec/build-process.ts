import type { Ulimit } from '#spec/engine-api.ts';
import type { OciProcess } from '#spec/oci-runtime.ts';
import type { SpecBuilder } from './spec-draft.ts';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Variables of `over` replace those of the same name, where they stand. `NAME` without a value takes it away. */
export function mergeEnvironment(base: readonly string[], over: readonly string[]): string[] {
  const merged = new Map<string, string | undefined>();
  for (const variable of [...base, ...over]) {
    const at = variable.indexOf('=');
    if (at < 0) merged.delete(variable);
    else merged.set(variable.slice(0, at), variable);
  }
  return [...merged.values()] as string[];
}

const ULIMIT_MAX = 2 ** 64;

export const toRlimit = ({ Name, Soft, Hard }: Ulimit): NonNullable<OciProcess['rlimits']>[number] => ({
  type: `RLIMIT_${Name.toUpperCase()}`, soft: Soft < 0 ? ULIMIT_MAX : Soft, hard: Hard < 0 ? ULIMIT_MAX : Hard,
});

/** Program, environment, directory, terminal, limits. */
export const buildProcess: SpecBuilder = ({ spec, sources }, { doc, home, user, environment }) => {
  const { config, hostConfig } = doc;
  const { process } = spec;
  process.args = [doc.path, ...doc.args];
  process.user = user;
  process.cwd = config.WorkingDir || '/';
  process.env = mergeEnvironment(
    [PATH, `HOSTNAME=${config.Hostname ?? ''}`, ...(config.Tty === true ? ['TERM=xterm'] : []), ...(home === undefined ? [] : [`HOME=${home}`]), ...environment],
    config.Env ?? [],
  );
  if (config.Tty === true) {
    process.terminal = true;
    const [height, width] = hostConfig.ConsoleSize ?? [0, 0];
    if (height > 0 && width > 0) process.consoleSize = { height, width };
  }
  if ((hostConfig.Ulimits ?? []).length > 0) {
    process.rlimits = hostConfig.Ulimits!.map((ulimit, i) => {
      sources.set(`/process/rlimits/${i}`, `--ulimit ${ulimit.Name}=${ulimit.Soft}:${ulimit.Hard}`);
      return toRlimit(ulimit);
    });
  }
  if (hostConfig.OomScoreAdj) {
    process.oomScoreAdj = hostConfig.OomScoreAdj;
    sources.set('/process/oomScoreAdj', `--oom-score-adj ${hostConfig.OomScoreAdj}`);
  }
  if (hostConfig.Annotations && Object.keys(hostConfig.Annotations).length > 0) spec.annotations = { ...hostConfig.Annotations };
};
