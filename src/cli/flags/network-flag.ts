import type { StringMap } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { cut, parseCsvRecord } from './csv.ts';

/** One `--network`: a name, or `name=net,alias=a,ip=…`. */
export interface NetworkAttachment {
  target: string;
  aliases: string[];
  driverOpts: StringMap;
  links: string[];
  ipv4: string;
  ipv6: string;
  linkLocalIps: string[];
  macAddress: string;
  gwPriority: number;
}

/** An attachment to `target` with nothing else asked for. */
export function networkAttachment(target: string): NetworkAttachment {
  return { target, aliases: [], driverOpts: {}, links: [], ipv4: '', ipv6: '', linkLocalIps: [], macAddress: '', gwPriority: 0 };
}

export function parseNetworkFlag(text: string): NetworkAttachment {
  const attachment = networkAttachment(text);
  if (!/\w+=\w+(,\w+=\w+)*/.test(text)) return attachment;
  attachment.target = '';
  for (const field of parseCsvRecord(text)) {
    const [rawKey, rawValue] = cut(field.toLowerCase(), '=');
    if (rawValue === undefined || rawKey === '') throw new NaruError('invalid', `invalid field ${field}`);
    const key = rawKey.trim();
    const value = rawValue.trim();
    switch (key) {
      case 'name':
        attachment.target = value;
        break;
      case 'alias':
        attachment.aliases.push(value);
        break;
      case 'ip':
        attachment.ipv4 = value;
        break;
      case 'ip6':
        attachment.ipv6 = value;
        break;
      case 'mac-address':
        attachment.macAddress = value;
        break;
      case 'link-local-ip':
        attachment.linkLocalIps.push(value);
        break;
      case 'driver-opt': {
        const [option, optionValue] = cut(value, '=');
        if (optionValue === undefined || option === '') throw new NaruError('invalid', 'invalid key value pair format in driver options');
        attachment.driverOpts[option.trim()] = optionValue.trim();
        break;
      }
      case 'gw-priority':
        if (!/^[+-]?\d+$/.test(value)) throw new NaruError('invalid', `invalid gw-priority (${value}): invalid syntax`);
        attachment.gwPriority = Number(value);
        break;
      default:
        throw new NaruError('invalid', `invalid field key ${key}`);
    }
  }
  if (attachment.target === '') throw new NaruError('invalid', 'network name/id is not specified');
  return attachment;
}
