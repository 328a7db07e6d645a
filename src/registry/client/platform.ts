import type { Platform } from '#spec/oci-image.ts';
import { NaruError } from '#spec/errors.ts';

const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'], 'x86-64': ['amd64'], aarch64: ['arm64', 'v8'], arm64: ['arm64', 'v8'], armhf: ['arm', 'v7'], armel: ['arm', 'v6'], i386: ['386'], i686: ['386'],
};
const NODE: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386', riscv64: 'riscv64', ppc64: 'ppc64le', s390x: 's390x' };

export const HOST_PLATFORM: Platform = normalize({ os: 'linux', architecture: NODE[process.arch] ?? process.arch });

/** `os[/architecture[/variant]]`, or an architecture alone, as `--platform` has it. '' is this machine's. Throws `invalid`. */
export function parsePlatform(text: string): Platform {
  if (text === '') return HOST_PLATFORM;
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new NaruError('invalid', `${JSON.stringify(text.slice(0, 100))} is an invalid platform`, { hint: 'write os/architecture/variant, like linux/arm64' });
  }
  const [first, architecture, variant] = parts;
  if (architecture === undefined) {
    if (first === 'linux' || first === 'windows' || first === 'freebsd') return { ...HOST_PLATFORM, os: first };
    return normalize({ os: 'linux', architecture: first! });
  }
  return normalize({ os: first!, architecture, ...(variant === undefined ? {} : { variant }) });
}

/** One spelling: https://github.com/containerd/platforms/blob/main/database.go. */
export function normalize(platform: Platform): Platform {
  const [architecture, variant] = ARCHITECTURES[platform.architecture] ?? [platform.architecture];
  const chosen = platform.variant === undefined || platform.variant === '' ? (variant ?? (architecture === 'arm' ? 'v7' : undefined)) : platform.variant;
  const numbered = chosen !== undefined && /^\d/.test(chosen) ? `v${chosen}` : chosen;
  return { os: platform.os, architecture, ...(numbered === undefined || (architecture === 'amd64' && numbered === 'v1') ? {} : { variant: numbered }) };
}

export const formatPlatform = ({ os, architecture, variant }: Platform): string => [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');

/** How well an image runs where `wanted` is asked for: 0 not at all, more is better. A machine runs what was made for older
 *  variants of its own kind. */
export function fitness(offered: Platform, wanted: Platform): number {
  const a = normalize(offered);
  const b = normalize(wanted);
  if (a.os !== b.os || a.architecture !== b.architecture) return 0;
  const [have, want] = [level(a), level(b)];
  if (have === want) return 100;
  return have < want ? 50 + have : 0;
}

const level = ({ architecture, variant }: Platform): number => {
  const number = Number(/^v(\d+)/.exec(variant ?? '')?.[1] ?? (architecture === 'amd64' ? 1 : 0));
  return Math.min(number, 40);
};
