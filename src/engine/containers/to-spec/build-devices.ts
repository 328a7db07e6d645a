import type { DeviceRule, OciLinux } from '#spec/oci-runtime.ts';
import { defaultDeviceRules } from '#runtime/spec/default-spec.ts';
import { parseDeviceRule } from '../create/validate-security.ts';
import type { SpecBuilder } from './spec-draft.ts';

const rule = (type: DeviceRule['type'], { major, minor, access }: { major?: number | undefined; minor?: number | undefined; access: string }): DeviceRule => ({
  allow: true, ...(type === undefined ? {} : { type }), ...(major === undefined ? {} : { major }), ...(minor === undefined ? {} : { minor }), access,
});

/** Device nodes, and who may use which. */
export const buildDevices: SpecBuilder = ({ spec, sources }, { doc, hostDevices, devicesAt }) => {
  const { hostConfig } = doc;
  const { resources } = spec.linux;
  const devices: NonNullable<OciLinux['devices']> = [];
  if (hostConfig.Privileged === true) {
    spec.linux.devices = hostDevices();
    resources.devices = [{ allow: true, access: 'rwm' }];
    sources.set('/linux/devices', '--privileged');
    sources.set('/linux/resources/devices', '--privileged');
    // A `--device` of a privileged container may give a node another name.
    for (const { PathOnHost, PathInContainer } of hostConfig.Devices ?? []) {
      if (PathInContainer && PathInContainer !== PathOnHost) spec.linux.devices.push(...devicesAt(PathOnHost, PathInContainer));
    }
    return;
  }
  const rules: DeviceRule[] = defaultDeviceRules();
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of hostConfig.Devices ?? []) {
    const flag = `--device ${PathOnHost}:${PathInContainer || PathOnHost}:${CgroupPermissions || 'rwm'}`;
    for (const device of devicesAt(PathOnHost, PathInContainer || PathOnHost)) {
      sources.set(`/linux/devices/${devices.length}`, flag);
      sources.set(`/linux/resources/devices/${rules.length}`, flag);
      devices.push(device);
      rules.push(rule(device.type === 'b' ? 'b' : 'c', { major: device.major, minor: device.minor, access: CgroupPermissions || 'rwm' }));
    }
  }
  for (const text of hostConfig.DeviceCgroupRules ?? []) {
    const { type, major, minor, access } = parseDeviceRule(text);
    sources.set(`/linux/resources/devices/${rules.length}`, `--device-cgroup-rule '${text}'`);
    rules.push(rule(type, { major, minor, access }));
  }
  if (devices.length > 0) spec.linux.devices = devices;
  resources.devices = rules;
};
