import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, Healthcheck } from '#spec/engine-api.ts';
import { parsePort } from './ports.ts';
import { parseSignal } from './signals.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/** Argument and environment bytes: what execve would refuse anyway (MAX_ARG_STRLEN, a generous ARG_MAX). */
const MAXIMUM_STRING = 128 * 1024;
const MAXIMUM_STRINGS = 2 * 1024 * 1024;

/** The merged, portable part of a request. Throws invalid, in Docker's words where clients match on them. */
export function validateConfig(config: ContainerConfig): void {
  const argv = [...((config.Entrypoint as string[] | null) ?? []), ...((config.Cmd as string[] | null) ?? [])];
  if (argv.length === 0) throw invalid('no command specified');
  if (argv.some((arg) => typeof arg !== 'string')) throw invalid('invalid command: every argument must be a string');
  for (const variable of config.Env ?? []) {
    if (typeof variable !== 'string' || variable === '' || variable.startsWith('=')) throw invalid(`invalid environment variable: ${variable}`);
  }
  checkSizes(argv, 'argument');
  checkSizes(config.Env ?? [], 'environment variable');
  const directory = config.WorkingDir ?? '';
  if (directory !== '' && !directory.startsWith('/')) {
    throw invalid(`the working directory '${directory}' is invalid, it needs to be an absolute path`);
  }
  if (directory.includes('\0')) throw invalid('the working directory contains a NUL byte');
  if (config.StopSignal) parseSignal(config.StopSignal);
  for (const port of Object.keys(config.ExposedPorts ?? {})) parsePort(port);
  const hostname = config.Hostname ?? '';
  if (hostname.length > 64 || !/^[\x21-\x7e]*$/.test(hostname)) throw invalid(`invalid hostname: ${hostname.slice(0, 80)}`);
  if (!/^[\x21-\x7e]{0,64}$/.test(config.Domainname ?? '')) throw invalid(`invalid domainname: ${config.Domainname}`);
  if (config.MacAddress && !/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(config.MacAddress)) {
    throw invalid(`invalid MAC address: ${config.MacAddress}`);
  }
  if (config.Healthcheck) validateHealthcheck(config.Healthcheck);
}

function checkSizes(strings: readonly string[], what: string): void {
  let total = 0;
  for (const text of strings) {
    if (text.includes('\0')) throw invalid(`an ${what} contains a NUL byte`);
    if (text.length >= MAXIMUM_STRING) throw invalid(`an ${what} is too long: ${text.length} bytes (at most ${MAXIMUM_STRING})`);
    total += text.length + 9;
  }
  if (total > MAXIMUM_STRINGS) throw invalid(`too many ${what}s: ${total} bytes (at most ${MAXIMUM_STRINGS})`);
}

function validateHealthcheck(check: Healthcheck): void {
  const durations = { Interval: check.Interval, Timeout: check.Timeout, StartPeriod: check.StartPeriod, StartInterval: check.StartInterval };
  for (const [field, value] of Object.entries(durations)) {
    if (value !== undefined && value !== 0 && value < 1_000_000) throw invalid(`${field} in Healthcheck cannot be less than 1ms`);
  }
  if ((check.Retries ?? 0) < 0) throw invalid('Retries in Healthcheck cannot be negative');
  const kind = check.Test?.[0];
  if (kind !== undefined && !['', 'NONE', 'CMD', 'CMD-SHELL'].includes(kind)) throw invalid(`Unknown healthcheck type '${kind}' (expected 'CMD')`);
}
