import type { Mount } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { nodePath } from '../on-demand.ts';
import { cut, parseCsvRecord } from './csv.ts';
import { parseBoolean, parseBytes } from './numbers.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/** `--mount type=bind,src=/a,dst=/b,readonly`: the API's mount. */
export function parseMountFlag(text: string): Mount {
  const mount: Mount = { Type: 'volume', Target: '' };
  const volume = (): NonNullable<Mount['VolumeOptions']> & { DriverConfig: NonNullable<NonNullable<Mount['VolumeOptions']>['DriverConfig']> } =>
    (mount.VolumeOptions ??= { Labels: {}, DriverConfig: {} }) as ReturnType<typeof volume>;
  const bind = (): NonNullable<Mount['BindOptions']> => (mount.BindOptions ??= {});
  const tmpfs = (): NonNullable<Mount['TmpfsOptions']> => (mount.TmpfsOptions ??= {});
  const truth = (key: string, value: string): boolean => {
    try {
      return parseBoolean(value);
    } catch {
      throw invalid(`invalid value for ${key}: ${value}`);
    }
  };

  for (const field of parseCsvRecord(text)) {
    const [rawKey, value] = cut(field, '=');
    const key = rawKey.toLowerCase();
    if (value === undefined) {
      if (key === 'readonly' || key === 'ro') mount.ReadOnly = true;
      else if (key === 'volume-nocopy') volume().NoCopy = true;
      else if (key === 'bind-nonrecursive') bind().NonRecursive = true;
      else throw invalid(`invalid field '${field}' must be a key=value pair`);
      continue;
    }
    switch (key) {
      case 'type':
        mount.Type = value.toLowerCase() as Mount['Type'];
        break;
      case 'source':
      case 'src':
        mount.Source = value.startsWith('.') ? nodePath().resolve(value) : value;
        break;
      case 'target':
      case 'dst':
      case 'destination':
        mount.Target = value;
        break;
      case 'readonly':
      case 'ro':
        mount.ReadOnly = truth(key, value);
        break;
      case 'consistency':
        mount.Consistency = value.toLowerCase();
        break;
      case 'bind-propagation':
        bind().Propagation = value.toLowerCase();
        break;
      case 'bind-nonrecursive':
        bind().NonRecursive = truth(key, value);
        break;
      case 'bind-recursive':
        if (value === 'disabled') bind().NonRecursive = true;
        else if (value === 'writable') bind().ReadOnlyNonRecursive = true;
        else if (value === 'readonly') bind().ReadOnlyForceRecursive = true;
        else if (value !== 'enabled') throw invalid(`invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`);
        break;
      case 'volume-subpath':
        volume().Subpath = value;
        break;
      case 'volume-nocopy':
        volume().NoCopy = truth(key, value);
        break;
      case 'volume-label':
        setPair((volume().Labels ??= {}), value);
        break;
      case 'volume-driver':
        volume().DriverConfig.Name = value;
        break;
      case 'volume-opt':
        setPair((volume().DriverConfig.Options ??= {}), value);
        break;
      case 'image-subpath':
        (mount.ImageOptions ??= {}).Subpath = value;
        break;
      case 'tmpfs-size':
        try {
          tmpfs().SizeBytes = parseBytes(value);
        } catch {
          throw invalid(`invalid value for ${key}: ${value}`);
        }
        break;
      case 'tmpfs-mode':
        if (!/^[0-7]{1,10}$/.test(value)) throw invalid(`invalid value for ${key}: ${value}`);
        tmpfs().Mode = Number.parseInt(value, 8);
        break;
      default:
        throw invalid(`unexpected key '${key}' in '${field}'`);
    }
  }
  check(mount);
  return mount;
}

function check(mount: Mount): void {
  if ((mount.Type as string) === '') throw invalid('type is required');
  if (mount.Target === '') throw invalid('target is required');
  const mixed = (options: unknown, type: string): void => {
    if (options !== undefined && mount.Type !== type) throw invalid(`cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  };
  mixed(mount.VolumeOptions, 'volume');
  mixed(mount.ImageOptions, 'image');
  mixed(mount.BindOptions, 'bind');
  mixed(mount.TmpfsOptions, 'tmpfs');
  const bind = mount.BindOptions;
  if (bind?.ReadOnlyNonRecursive === true && mount.ReadOnly !== true) throw invalid("option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction");
  if (bind?.ReadOnlyForceRecursive === true) {
    if (mount.ReadOnly !== true) throw invalid("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction");
    if (bind.Propagation !== 'rprivate') throw invalid("option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction");
  }
}

function setPair(target: Record<string, string>, text: string): void {
  const [key, value] = cut(text, '=');
  if (key !== '') target[key] = value ?? '';
}
