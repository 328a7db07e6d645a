import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig } from '#spec/engine-api.ts';
import { parsePort } from '../containers/create/ports.ts';
import { parseSignal } from '../containers/create/signals.ts';
import { parseDuration } from '../time/durations.ts';

const CHANGE_LIMIT = 64 * 1024;

/** `--change`: the Dockerfile instructions that only touch the configuration. Throws invalid for others. */
export function applyChanges(config: ContainerConfig, changes: readonly string[]): ContainerConfig {
  const result: ContainerConfig = { ...config };
  for (const change of changes.flatMap((text) => text.split('\n'))) {
    const line = change.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.length > CHANGE_LIMIT) throw new NaruError('invalid', 'a change is too long');
    const match = /^(\S+)\s+([^]*)$/.exec(line);
    if (match === null) throw new NaruError('invalid', `${line} needs an argument`);
    apply(result, match[1]!.toUpperCase(), match[2]!.trim());
  }
  return result;
}

function apply(config: ContainerConfig, instruction: string, rest: string): void {
  switch (instruction) {
    case 'CMD':
      config.Cmd = execForm(rest);
      break;
    case 'ENTRYPOINT':
      config.Entrypoint = execForm(rest);
      break;
    case 'ENV':
      for (const [name, value] of pairs(rest)) config.Env = [...(config.Env ?? []).filter((variable) => !variable.startsWith(`${name}=`)), `${name}=${value}`];
      break;
    case 'LABEL':
      config.Labels = { ...config.Labels, ...Object.fromEntries(pairs(rest)) };
      break;
    case 'EXPOSE':
      config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(words(rest).map((word) => {
        const { port, protocol } = parsePort(word);
        return [`${port}/${protocol}`, {}];
      })) };
      break;
    case 'USER':
      config.User = rest;
      break;
    case 'WORKDIR':
      config.WorkingDir = rest.startsWith('/') ? rest : `${config.WorkingDir ?? ''}/${rest}`.replace(/^\/*/, '/');
      break;
    case 'VOLUME':
      config.Volumes = { ...config.Volumes, ...Object.fromEntries((listForm(rest) ?? words(rest)).map((path) => [path, {}])) };
      break;
    case 'STOPSIGNAL':
      parseSignal(rest);
      config.StopSignal = rest;
      break;
    case 'ONBUILD':
      config.OnBuild = [...(config.OnBuild ?? []), rest];
      break;
    case 'HEALTHCHECK':
      config.Healthcheck = healthcheck(rest);
      break;
    default:
      throw new NaruError('invalid', `${instruction} is not a valid change command`);
  }
}

function listForm(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list;
  } catch {
    // the shell form
  }
  return undefined;
}

const execForm = (text: string): string[] => listForm(text) ?? ['/bin/sh', '-c', text];

/** Words with quotes and backslashes, as a Dockerfile has them. */
function words(text: string): string[] {
  const found: string[] = [];
  let word = '';
  let quote = '';
  let any = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote === '' && /\s/.test(char)) {
      if (any) found.push(word);
      word = '';
      any = false;
      continue;
    }
    any = true;
    if (char === '\\' && quote !== "'" && i + 1 < text.length) word += text[++i];
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else word += char;
  }
  if (quote !== '') throw new NaruError('invalid', `unexpected end of statement while looking for matching ${quote === '"' ? 'double' : 'single'}-quote`);
  if (any) found.push(word);
  return found;
}

/** `k=v k2="v 2"`, or the old `k the rest`. */
function pairs(text: string): [string, string][] {
  const all = words(text);
  if (all.length > 0 && !all[0]!.includes('=')) {
    const space = text.search(/\s/);
    if (space < 0) throw new NaruError('invalid', `${text} must be name=value`);
    return [[text.slice(0, space), text.slice(space).trim()]];
  }
  return all.map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) throw new NaruError('invalid', `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

function healthcheck(text: string): NonNullable<ContainerConfig['Healthcheck']> {
  const check: NonNullable<ContainerConfig['Healthcheck']> = {};
  let rest = text;
  for (let match = /^--([a-z-]+)=(\S+)\s+/.exec(rest); match !== null; match = /^--([a-z-]+)=(\S+)\s+/.exec(rest)) {
    const [whole, name, value] = match as unknown as [string, string, string];
    const fields = { interval: 'Interval', timeout: 'Timeout', 'start-period': 'StartPeriod', 'start-interval': 'StartInterval' } as const;
    if (name === 'retries') check.Retries = Number(value);
    else if (Object.hasOwn(fields, name)) {
      const duration = parseDuration(value);
      if (duration === undefined) throw new NaruError('invalid', `invalid duration in HEALTHCHECK: ${value}`);
      check[fields[name as 'interval']] = Number(duration);
    } else throw new NaruError('invalid', `unknown flag: --${name}`);
    rest = rest.slice(whole.length);
  }
  if (/^none$/i.test(rest.trim())) return { Test: ['NONE'] };
  const command = /^cmd\s+([^]*)$/i.exec(rest)?.[1];
  if (command === undefined) throw new NaruError('invalid', `Unknown type ${JSON.stringify(rest.split(/\s/, 1)[0])} in HEALTHCHECK (try CMD)`);
  const list = listForm(command);
  check.Test = list === undefined ? ['CMD-SHELL', command] : ['CMD', ...list];
  return check;
}
