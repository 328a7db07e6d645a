import type { ContainerConfig, Healthcheck } from '#spec/engine-api.ts';

/** Docker accepts a string where it means a list of one. */
export function toList(value: string[] | string | null | undefined): string[] | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? [value] : value;
}

const nameOf = (variable: string): string => variable.split('=', 1)[0] as string;

/**
 * The request's configuration over the image's: what the request says wins, lists of variables, ports, volumes and labels are
 * united. An entrypoint of one empty string resets the image's; an entrypoint of the request's own discards the image's command.
 */
export function mergeImageConfig(request: ContainerConfig, image: ContainerConfig | undefined): ContainerConfig {
  const merged: ContainerConfig = { ...request, Cmd: toList(request.Cmd), Entrypoint: toList(request.Entrypoint) };
  if (image !== undefined) {
    merged.User ||= image.User ?? '';
    merged.WorkingDir ||= image.WorkingDir ?? '';
    merged.ExposedPorts = { ...image.ExposedPorts, ...request.ExposedPorts };
    merged.Volumes = { ...image.Volumes, ...request.Volumes };
    merged.Labels = { ...image.Labels, ...request.Labels };
    merged.Env = mergeEnvironment(request.Env ?? [], image.Env ?? []);
    merged.StopSignal ||= image.StopSignal ?? '';
    merged.Shell ??= image.Shell ?? null;
    merged.OnBuild ??= image.OnBuild ?? null;
    merged.Healthcheck = mergeHealthcheck(request.Healthcheck, image.Healthcheck);
    if ((merged.Entrypoint ?? []).length === 0) {
      if ((merged.Cmd ?? []).length === 0) merged.Cmd = toList(image.Cmd);
      merged.Entrypoint ??= toList(image.Entrypoint);
    }
  }
  if (merged.Entrypoint?.length === 1 && merged.Entrypoint[0] === '') merged.Entrypoint = null;
  return merged;
}

function mergeEnvironment(own: readonly string[], image: readonly string[]): string[] {
  const names = new Set(own.map(nameOf));
  return [...own, ...image.filter((variable) => !names.has(nameOf(variable)))];
}

function mergeHealthcheck(own: Healthcheck | null | undefined, image: Healthcheck | null | undefined): Healthcheck | null {
  if (own === null || own === undefined) return image ?? null;
  if (image === null || image === undefined) return own;
  return {
    Test: own.Test === undefined || own.Test.length === 0 ? image.Test ?? [] : own.Test,
    Interval: own.Interval || image.Interval || 0,
    Timeout: own.Timeout || image.Timeout || 0,
    StartPeriod: own.StartPeriod || image.StartPeriod || 0,
    StartInterval: own.StartInterval || image.StartInterval || 0,
    Retries: own.Retries || image.Retries || 0,
  };
}
