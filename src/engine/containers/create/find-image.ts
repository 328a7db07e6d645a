import { NaruError } from '#spec/errors.ts';
import type { ImageRecord, ImageStore } from '#core/store.ts';

/** The image by any of its names. Throws not-found in Docker's words, which make a client pull. */
export function findImage(images: ImageStore, name: string): ImageRecord {
  const image = images.find(name);
  if (image === undefined) throw noSuchImage(name);
  return image;
}

/** `No such image: x:latest`: the tag is filled in as clients expect. */
export function noSuchImage(name: string): NaruError {
  const last = name.slice(name.lastIndexOf('/') + 1);
  const full = name.includes('@') || last.includes(':') || /^[0-9a-f]{64}$/.test(name) ? name : `${name}:latest`;
  return new NaruError('not-found', `No such image: ${full}`, { hint: 'naru images lists what is here; naru load and naru import bring more' });
}

const ARCHITECTURES: Record<string, string> = { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64', armhf: 'arm', i386: '386' };

/** Throws not-found when the image is for another platform than the one asked for (`linux/arm64`, `arm64`). */
export function checkPlatform(image: ImageRecord, name: string, platform: string | undefined): void {
  if (platform === undefined || platform === '') return;
  const parts = platform.toLowerCase().split('/');
  if (parts.length > 3 || !/^[a-z0-9_/-]+$/.test(platform.toLowerCase())) throw new NaruError('invalid', `${JSON.stringify(platform)} is not a valid platform`);
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  const { os: ownOs, architecture: own, variant: ownVariant } = image.config;
  const same = os === ownOs && (ARCHITECTURES[architecture!] ?? architecture) === own && (variant === undefined || ownVariant === undefined || variant === ownVariant);
  if (!same) {
    throw new NaruError('not-found', `image with reference ${name} was found but its platform (${ownOs}/${own}${ownVariant === undefined ? '' : `/${ownVariant}`}) does not match the specified platform (${platform})`);
  }
}

/** A warning when the image's programs cannot be this machine's, and nobody asked for that. */
export function platformWarning(image: ImageRecord, platform: string | undefined): string | undefined {
  const host = process.arch === 'x64' ? 'amd64' : process.arch;
  if (platform || image.config.architecture === '' || image.config.architecture === host) return undefined;
  return `The requested image's platform (${image.config.os}/${image.config.architecture}) does not match the detected host platform (linux/${host}) and no specific platform was requested`;
}
