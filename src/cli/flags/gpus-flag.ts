import type { Resources } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { cut, parseCsvRecord } from './csv.ts';

type DeviceRequest = NonNullable<Resources['DeviceRequests']>[number];

/** `--gpus all`, `--gpus 2`, `--gpus '"device=0,1",capabilities=utility'`. */
export function parseGpusFlag(text: string): DeviceRequest {
  const request: DeviceRequest = { Driver: '', Count: 0, DeviceIDs: null, Capabilities: null, Options: null };
  const seen = new Set<string>();
  for (const field of parseCsvRecord(text)) {
    const [key, value] = cut(field, '=');
    if (seen.has(key)) throw new NaruError('invalid', `gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (value === undefined) {
      seen.add('count');
      request.Count = parseCount(key);
      continue;
    }
    switch (key) {
      case 'driver':
        request.Driver = value;
        break;
      case 'count':
        request.Count = parseCount(value);
        break;
      case 'device':
        request.DeviceIDs = value.split(',');
        break;
      case 'capabilities':
        request.Capabilities = [[...value.split(','), 'gpu']];
        break;
      case 'options':
        request.Options = Object.fromEntries(parseCsvRecord(value).map((pair) => [cut(pair, '=')[0], cut(pair, '=')[1] ?? '']));
        break;
      default:
        throw new NaruError('invalid', `unexpected key '${key}' in '${field}'`);
    }
  }
  if (!seen.has('count') && request.DeviceIDs === null) request.Count = 1;
  request.Options ??= {};
  request.Capabilities ??= [['gpu']];
  return request;
}

function parseCount(text: string): number {
  if (text === 'all') return -1;
  if (!/^[+-]?\d+$/.test(text)) throw new NaruError('invalid', `invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
  return Number(text);
}
