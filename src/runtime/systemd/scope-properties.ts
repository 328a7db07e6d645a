import { devicePolicy, type DeviceMatch, ACCESS_MKNOD, ACCESS_READ, ACCESS_WRITE, DEFAULT_DEVICE_RULES, normalizeDeviceRules } from '#runtime/cgroups/device-rules.ts';
import { cpuWeight, ioWeight } from '#runtime/cgroups/limits-v2.ts';
import { NaruError } from '#spec/errors.ts';
import type { DeviceRule, OciResources, OciSpec } from '#spec/oci-runtime.ts';
import type { DBusValue } from './dbus-value.ts';
import type { Property } from './systemd-manager.ts';

const UNLIMITED = 2n ** 64n - 1n;
const PREFIX = 'org.systemd.property.';

const property = (name: string, signature: string, value: DBusValue): Property => [name, { signature, value }];
const number64 = (name: string, value: number): Property => property(name, 't', value < 0 ? UNLIMITED : BigInt(Math.trunc(value)));

/**
 * What systemd is told of a container's scope. The limits that systemd knows are told to it as well as written by us: whatever it
 * writes again later (daemon-reload) is then the same.
 */
export function scopeProperties(spec: OciSpec, scope: { id: string; slice: string; isSlice: boolean; pid: number; version: 1 | 2 }): Property[] {
  const resources = spec.linux?.resources ?? {};
  return [
    property('Description', 's', `naru container ${scope.id}`),
    property(scope.isSlice ? 'Wants' : 'Slice', scope.isSlice ? 'as' : 's', scope.isSlice ? [scope.slice] : scope.slice),
    ...(scope.isSlice ? [] : [property('Delegate', 'b', true), property('PIDs', 'au', [scope.pid])]),
    ...['MemoryAccounting', 'CPUAccounting', 'TasksAccounting', scope.version === 2 ? 'IOAccounting' : 'BlockIOAccounting'].map((name) => property(name, 'b', true)),
    property('DefaultDependencies', 'b', false),
    ...limitProperties(resources, scope.version),
    ...(resources.devices === undefined ? [] : deviceProperties(resources.devices)),
    ...annotatedProperties(spec.annotations ?? {}),
  ];
}

/** linux.resources in systemd's words: https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html */
export function limitProperties({ cpu, memory, pids, blockIO }: OciResources, version: 1 | 2): Property[] {
  const list: Property[] = [];
  const v2 = version === 2;
  if (cpu?.shares) list.push(v2 ? number64('CPUWeight', cpuWeight(cpu.shares)) : number64('CPUShares', cpu.shares));
  if (cpu?.quota) {
    const period = cpu.period || 100_000;
    // systemd counts in hundredths of a processor, and would round down.
    list.push(property('CPUQuotaPerSecUSec', 't', cpu.quota < 0 ? UNLIMITED : BigInt(Math.ceil((cpu.quota * 1_000_000) / period / 10_000) * 10_000)));
    if (cpu.period) list.push(number64('CPUQuotaPeriodUSec', cpu.period));
  }
  if (memory?.limit) list.push(number64(v2 ? 'MemoryMax' : 'MemoryLimit', memory.limit));
  if (v2 && memory?.reservation) list.push(number64('MemoryLow', memory.reservation));
  if (v2 && memory?.swap) list.push(number64('MemorySwapMax', memory.swap < 0 ? -1 : memory.swap - (memory.limit ?? 0)));
  if (pids?.limit) list.push(number64('TasksMax', pids.limit));
  if (blockIO?.weight) list.push(v2 ? number64('IOWeight', ioWeight(blockIO.weight)) : number64('BlockIOWeight', blockIO.weight));
  return list;
}

function deviceProperties(rules: readonly DeviceRule[]): Property[] {
  const { allowByDefault, exceptions } = devicePolicy(normalizeDeviceRules([...rules, ...DEFAULT_DEVICE_RULES]));
  if (allowByDefault) return [property('DevicePolicy', 's', 'auto'), property('DeviceAllow', 'a(ss)', [])];
  return [property('DevicePolicy', 's', 'strict'), property('DeviceAllow', 'a(ss)', exceptions.flatMap((rule) => deviceName(rule).map((name) => [name, accessText(rule)])))];
}

const accessText = ({ access }: DeviceMatch): string => `${access & ACCESS_READ ? 'r' : ''}${access & ACCESS_WRITE ? 'w' : ''}${access & ACCESS_MKNOD ? 'm' : ''}`;

/** systemd takes nodes by their path and whole majors by their name in /proc/devices; of unnumbered majors only all. */
function deviceName({ type, major, minor }: DeviceMatch): string[] {
  const kind = type === 'c' ? 'char' : 'block';
  if (major === undefined) return minor === undefined ? [`${kind}-*`] : [];
  return minor === undefined ? [`${kind}-${major}`] : [`/dev/${kind}/${major}:${minor}`];
}

/** Annotations `org.systemd.property.Name`, their values as GVariant text; names that end in Sec are seconds, as runc has it. */
function annotatedProperties(annotations: Readonly<Record<string, string>>): Property[] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(PREFIX)).map(([key, text]) => {
    const name = key.slice(PREFIX.length);
    const pointer = `/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!/^[A-Z][A-Za-z]{3,}$/.test(name)) throw new NaruError('invalid', `${pointer}: ${JSON.stringify(name)} is no name of a property of systemd`);
    const [signature, value] = gvariant(text.trim(), pointer);
    if (!name.endsWith('Sec') || name.endsWith('USec')) return property(name, signature, value);
    return property(`${name.slice(0, -'Sec'.length)}USec`, 't', BigInt(Math.round(Number(value) * 1_000_000)));
  });
}

const NUMBERS: Readonly<Record<string, string>> = { byte: 'y', int16: 'n', uint16: 'q', int32: 'i', uint32: 'u', int64: 'x', uint64: 't', double: 'd' };

/** The part of https://docs.gtk.org/glib/gvariant-text-format.html that properties need: booleans, numbers, strings, lists of strings. */
function gvariant(text: string, pointer: string): [signature: string, value: DBusValue] {
  if (text === 'true' || text === 'false') return ['b', text === 'true'];
  const string = /^'((?:[^'\\]|\\.)*)'$|^"((?:[^"\\]|\\.)*)"$/.exec(text);
  if (string !== null) return ['s', unescape(string[1] ?? string[2]!)];
  const typed = /^(?:(byte|u?int(?:16|32|64)|double) )?(-?\d+(?:\.\d+)?)$/.exec(text);
  if (typed !== null) {
    const signature = NUMBERS[typed[1] ?? (typed[2]!.includes('.') ? 'double' : 'int32')]!;
    return [signature, signature === 'x' || signature === 't' ? BigInt(typed[2]!) : Number(typed[2])];
  }
  const list = /^\[(.*)\]$/.exec(text);
  if (list !== null) {
    const items = [...list[1]!.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map((m) => unescape(m[1] ?? m[2]!));
    if (list[1]!.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, '').replaceAll(/[\s,]/g, '') === '') return ['as', items];
  }
  throw new NaruError('invalid', `${pointer}: ${JSON.stringify(text)} is no value that naru reads`, { hint: 'true, \'text\', uint64 5, or [\'a\', \'b\']' });
}

const unescape = (text: string): string => text.replaceAll(/\\(.)/g, '$1');
