import { markAsMap, NIL_LIST, NIL_MAP, NO_VALUE, isMap } from './go-values.ts';

/**
 * The API's JSON does not say what is a struct, a map or a list in Go, but templates can tell. These are the maps and lists of
 * Docker's types by field name; every other object is a struct.
 */
const MAPS = new Set([
  'Labels', 'Ports', 'PortBindings', 'ExposedPorts', 'Volumes', 'Options', 'Networks', 'Annotations', 'Sysctls', 'Tmpfs', 'StorageOpt', 'DriverOpts', 'Containers', 'AuxiliaryAddresses', 'EndpointsConfig', 'Data', 'Attributes', 'Runtimes', 'Status', 'Details', 'IndexConfigs',
]);
const LISTS = new Set([
  'Args', 'Binds', 'BlkioDeviceReadBps', 'BlkioDeviceReadIOps', 'BlkioDeviceWriteBps', 'BlkioDeviceWriteIOps', 'BlkioWeightDevice', 'CapAdd', 'CapDrop', 'Cmd', 'Config', 'DNSNames', 'DeviceCgroupRules', 'DeviceRequests', 'Devices', 'Dns', 'DnsOptions', 'DnsSearch', 'Entrypoint', 'Env', 'ExecIDs', 'ExtraHosts', 'GroupAdd', 'Layers', 'Links', 'Aliases', 'MaskedPaths', 'Mounts',
  'OnBuild', 'ReadonlyPaths', 'RepoDigests', 'RepoTags', 'SecondaryIPAddresses', 'SecondaryIPv6Addresses', 'SecurityOpt', 'Shell', 'Test', 'Ulimits', 'VolumesFrom', 'Warnings',
]);
/** Fields that the API leaves out when they are empty: nil to a template, no error. */
const OPTIONAL: Readonly<Record<string, unknown>> = {
  Health: null, Healthcheck: null, SizeRw: null, SizeRootFs: null, StopTimeout: null, Init: null, UsageData: null, ImageManifestDescriptor: null, ClusterVolume: null, Descriptor: null, IPAMConfig: null,
  StopSignal: '', MacAddress: '', Variant: '', OsVersion: '', NetworkDisabled: false, ArgsEscaped: false, Platform: '', Name: '', Driver: '', Runtime: '', Created: '', CreatedAt: '', KernelMemory: 0, VirtualSize: 0, MaximumRetryCount: 0,
  ExposedPorts: NIL_MAP, Annotations: NIL_MAP, Sysctls: NIL_MAP, Tmpfs: NIL_MAP, StorageOpt: NIL_MAP, Status: NIL_MAP, Mounts: NIL_LIST, Shell: NIL_LIST, Layers: NIL_LIST, VolumeOptions: null, BindOptions: null, TmpfsOptions: null, ImageOptions: null, Subpath: '', ReadOnly: false, Propagation: '',
};
/** A mount as Go prints it: every field has its place. */
const MOUNT_FIELDS = ['Type', 'Name', 'Source', 'Destination', 'Driver', 'Mode', 'RW', 'Propagation'];

/** Parses an object that `inspect` shows, for use by a template. */
export function inspectData(text: string): unknown {
  return prepare(JSON.parse(text), '', undefined);
}

function prepare(value: unknown, key: string, parent: string | undefined): unknown {
  if (value === null) return isMapField(key, parent) ? NIL_MAP : LISTS.has(key) ? NIL_LIST : null;
  if (Array.isArray(value)) return value.map((item) => prepare(item, key === 'Mounts' ? 'mount' : '', key));
  if (typeof value !== 'object') return value;
  let source = value as Record<string, unknown>;
  if (key === 'mount' && 'Destination' in source) source = { ...Object.fromEntries(MOUNT_FIELDS.map((name) => [name, source[name] ?? (name === 'RW' ? false : '')])), ...source };
  const map = isMapField(key, parent);
  const out = Object.fromEntries(Object.entries(source).map(([name, item]) => [name, prepare(item, map ? (key === 'Ports' || key === 'PortBindings' ? 'Config' : '') : name, key)]));
  return map ? markAsMap(out) : out;
}

const isMapField = (key: string, parent: string | undefined): boolean => MAPS.has(key) || (key === 'Config' && parent === 'LogConfig');

/** What a template gets for a field that is not there. */
export function missingInspectField(receiver: object, name: string): unknown {
  if (isMap(receiver)) return NO_VALUE;
  if (Object.hasOwn(OPTIONAL, name)) return OPTIONAL[name];
  throw new Error(`map has no entry for key ${JSON.stringify(name)}`);
}
