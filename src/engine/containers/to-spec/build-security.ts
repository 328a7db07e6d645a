import type { OciProcess, OciSeccomp } from '#spec/oci-runtime.ts';
import { adjustCapabilities, availableCapabilities, DEFAULT_CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import { defaultSeccompProfile, hostArchitecture, type ProfileConditions } from '#runtime/seccomp/default-profile.ts';
import { loadProfile } from '#runtime/seccomp/load-profile.ts';
import { maskedPaths, READONLY_PATHS } from '#runtime/spec/default-spec.ts';
import type { SpecBuilder } from './spec-draft.ts';

const LOADED_LIMIT = 32;
const loaded = new Map<string, OciSeccomp | undefined>();

/** The same text and conditions give the same object: the compiler finds its earlier work by it. */
function userProfile(json: string, conditions: ProfileConditions): OciSeccomp | undefined {
  const key = `${conditions.capabilities.join(' ')}\n${json}`;
  if (!loaded.has(key)) {
    if (loaded.size >= LOADED_LIMIT) loaded.clear();
    loaded.set(key, loadProfile(json, conditions));
  }
  return loaded.get(key);
}

/** The sets of a process that may have `names`: another user than root gets them by no exec (never inheritable, CVE-2022-24769). */
export function capabilitySets(names: readonly string[], uid: number): NonNullable<OciProcess['capabilities']> {
  const list = [...names];
  return uid === 0 ? { bounding: list, effective: list, permitted: list } : { bounding: list };
}

/** Capabilities, seccomp, masked paths, no-new-privileges. Last: what it does depends on all before. */
export const buildSecurity: SpecBuilder = ({ spec, sources }, { doc, security, kernel, host }) => {
  const { hostConfig } = doc;
  const privileged = hostConfig.Privileged === true;
  const names = adjustCapabilities(DEFAULT_CAPABILITIES, {
    add: hostConfig.CapAdd ?? [], drop: hostConfig.CapDrop ?? [], privileged, available: availableCapabilities(),
  });
  spec.process.capabilities = capabilitySets(names, spec.process.user.uid);
  const flags = [privileged ? '--privileged' : '', ...(hostConfig.CapAdd ?? []).map((name) => `--cap-add ${name}`), ...(hostConfig.CapDrop ?? []).map((name) => `--cap-drop ${name}`)].filter((flag) => flag !== '');
  if (flags.length > 0) sources.set('/process/capabilities', flags.join(' '));

  spec.process.noNewPrivileges = security.noNewPrivileges;
  if (security.noNewPrivileges) sources.set('/process/noNewPrivileges', '--security-opt no-new-privileges');

  const conditions: ProfileConditions = { capabilities: names, architecture: hostArchitecture(), kernel };
  const profile =
    security.seccomp === 'unconfined' || (privileged && security.seccomp === undefined) || !host.seccomp ? undefined
    : security.seccomp === undefined ? defaultSeccompProfile(conditions)
    : userProfile(security.seccomp, conditions);
  if (profile !== undefined) spec.linux.seccomp = profile;
  if (security.seccomp !== undefined) sources.set('/linux/seccomp', `--security-opt seccomp=${security.seccomp === 'unconfined' ? 'unconfined' : '…'}`);

  const open = privileged || security.unconfinedPaths;
  spec.linux.maskedPaths = hostConfig.MaskedPaths ?? (open ? [] : [...maskedPaths()]);
  spec.linux.readonlyPaths = hostConfig.ReadonlyPaths ?? (open ? [] : [...READONLY_PATHS]);
};
