import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { familiarString, fullName, parseImageReference, type ImageReference } from '../create/image-reference.ts';
import { openManifestStore, type LocalManifest, type ManifestStore } from '../manifest-store.ts';
import { registryAuth } from '../registry-auth.ts';

const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const isList = (mediaType: string): boolean => mediaType === DOCKER_LIST || mediaType === OCI_INDEX;

/** With its tag: the store's own spelling of a name. */
const named = (text: string): { reference: ImageReference; name: string; full: string } => {
  const reference = parseImageReference(text);
  const name = familiarString(reference);
  return { reference, name, full: `${fullName(reference)}${reference.digest === undefined ? `:${reference.tag ?? 'latest'}` : `@${reference.digest}`}` };
};

const storeOf = ({ configDirectory, env }: CommandContext): ManifestStore => openManifestStore(configDirectory, env);

async function fromRegistry(context: CommandContext, text: string): Promise<LocalManifest & { raw: Buffer }> {
  const { reference, full } = named(text);
  const auth = await registryAuth(context.config(), reference.domain);
  const found = await context.client().images.registryManifest(full, { ...(auth === undefined ? {} : { auth }), insecure: context.flags.bool('insecure') }).catch((error: unknown) => {
    if (error instanceof NaruError && error.kind === 'not-found') throw new NaruError('not-found', `no such manifest: ${familiarString(reference)}`, { cause: error });
    throw error;
  });
  const raw = Buffer.from(found.Raw, 'base64');
  const document = JSON.parse(raw.toString('utf8')) as object;
  return {
    raw, Ref: full, Descriptor: { mediaType: found.MediaType, digest: found.Digest, size: found.Size, ...(found.Platform === undefined ? {} : { platform: found.Platform }) }, Raw: found.Raw,
    ...(isList(found.MediaType) ? {} : found.MediaType === OCI_MANIFEST ? { OCIManifest: document } : { SchemaV2Manifest: document }),
  };
}

const kept = ({ raw: _raw, ...manifest }: LocalManifest & { raw?: Buffer }): LocalManifest => manifest;

/** `manifest create`. */
export const create: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const list = named(args[0] as string);
  const store = storeOf(context);
  if (store.list(list.full) !== undefined && !flags.bool('amend')) throw new NaruError('conflict', 'refusing to amend an existing manifest list with no --amend flag');
  for (const text of args.slice(1)) {
    const manifest = await fromRegistry(context, text);
    if (isList(manifest.Descriptor.mediaType)) throw new NaruError('invalid', `${text} is a manifest list`);
    store.save(list.full, kept(manifest));
  }
  io.out(`Created manifest list ${list.name}\n`);
  return 0;
};

/** `manifest annotate`. */
export const annotate: CommandRunner = async (context) => {
  const { flags, args } = context;
  const list = named(args[0] as string);
  const image = named(args[1] as string);
  const store = storeOf(context);
  const manifest = store.list(list.full)?.find(({ Ref }) => Ref === image.full);
  if (manifest === undefined) throw new NaruError('not-found', `manifest for image ${image.name} does not exist in ${list.name}`);
  const text = (name: string): string | undefined => (flags.changed(name) && flags.string(name) !== '' ? flags.string(name) : undefined);
  const before = manifest.Descriptor.platform ?? { architecture: '', os: '' };
  const [os, architecture, variant, version] = [text('os'), text('arch'), text('variant'), text('os-version')];
  const features = flags.list('os-features');
  const platform = {
    ...before, ...(architecture === undefined ? {} : { architecture }), ...(os === undefined ? {} : { os }), ...(version === undefined ? {} : { 'os.version': version }),
    ...(features.length === 0 ? {} : { 'os.features': [...new Set([...(before['os.features'] ?? []), ...features])] }), ...(variant === undefined ? {} : { variant }),
  };
  if (!isPlatform(platform.os, platform.architecture)) throw new NaruError('invalid', `manifest entry for image has unsupported os/arch combination: ${platform.os}/${platform.architecture}`);
  store.save(list.full, { ...manifest, Descriptor: { ...manifest.Descriptor, platform } });
  return 0;
};

const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  linux: ['386', 'amd64', 'arm', 'arm64', 'loong64', 'mips', 'mips64', 'mips64le', 'mipsle', 'ppc64', 'ppc64le', 'riscv64', 's390x'],
  windows: ['386', 'amd64', 'arm', 'arm64'], darwin: ['386', 'amd64', 'arm', 'arm64'], freebsd: ['386', 'amd64', 'arm', 'arm64'], netbsd: ['386', 'amd64', 'arm'], openbsd: ['386', 'amd64', 'arm'],
  dragonfly: ['amd64'], plan9: ['386', 'amd64'], solaris: ['amd64'], android: ['arm', 'arm64', '386', 'amd64'], wasip1: ['wasm'], js: ['wasm'], aix: ['ppc64'], ios: ['arm64'],
};
const isPlatform = (os: string, architecture: string): boolean => Object.hasOwn(ARCHITECTURES, os) && ARCHITECTURES[os]!.includes(architecture);

/** The index that a list becomes: OCI when all of its manifests are. */
function indexOf(manifests: readonly LocalManifest[], name: string): { mediaType: string; text: string } {
  const mediaType = manifests.every(({ Descriptor }) => Descriptor.mediaType === OCI_MANIFEST) ? OCI_INDEX : DOCKER_LIST;
  for (const { Ref, Descriptor: { platform } } of manifests) {
    if (platform === undefined || platform.architecture === '' || platform.os === '') throw new NaruError('invalid', `manifest ${Ref} must have an OS and Architecture to be pushed to a registry`, { hint: `naru manifest annotate --os … --arch … ${name} ${Ref}` });
  }
  const document = { schemaVersion: 2, mediaType, manifests: manifests.map(({ Descriptor: { mediaType: type, size, digest, platform } }) => ({ mediaType: type, size, digest, platform })) };
  return { mediaType, text: JSON.stringify(document, undefined, 3) };
}

/** `manifest inspect`: a list of our own, else what the registry has. */
export const inspect: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  if (args.length === 2) {
    const [list, image] = [named(args[0] as string), named(args[1] as string)];
    const own = storeOf(context).list(list.full)?.find(({ Ref }) => Ref === image.full);
    if (own === undefined) throw new NaruError('not-found', `No such manifest: ${image.name}`);
    io.out(`${print(own, flags.bool('verbose'))}\n`);
    return 0;
  }
  const { full, name } = named(args[0] as string);
  const own = storeOf(context).list(full);
  if (own !== undefined) {
    io.out(`${flags.bool('verbose') ? JSON.stringify(own, undefined, '\t') : indexOf(own, name).text}\n`);
    return 0;
  }
  const found = await fromRegistry(context, args[0] as string);
  if (!isList(found.Descriptor.mediaType) || !flags.bool('verbose')) {
    io.out(`${isList(found.Descriptor.mediaType) ? JSON.stringify(JSON.parse(found.raw.toString('utf8')), undefined, 3) : print(kept(found), flags.bool('verbose'))}\n`);
    return 0;
  }
  const { manifests } = JSON.parse(found.raw.toString('utf8')) as { manifests: { digest: string; platform?: LocalManifest['Descriptor']['platform'] }[] };
  const all: LocalManifest[] = [];
  for (const { digest, platform } of manifests) {
    const { reference } = named(args[0] as string);
    const one = kept(await fromRegistry(context, `${fullName(reference)}@${digest}`));
    all.push({ ...one, Ref: `${full}@${digest}`, Descriptor: { ...one.Descriptor, ...(platform === undefined ? {} : { platform }) } });
  }
  io.out(`${JSON.stringify(all, undefined, '\t')}\n`);
  return 0;
};

const print = (manifest: LocalManifest, verbose: boolean): string =>
  verbose ? JSON.stringify(manifest, undefined, '\t') : JSON.stringify(manifest.OCIManifest ?? manifest.SchemaV2Manifest, undefined, '\t');

/** `manifest push`. */
export const push: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const { reference, name, full } = named(args[0] as string);
  const store = storeOf(context);
  const manifests = store.list(full);
  if (manifests === undefined || manifests.length === 0) throw new NaruError('not-found', `No such manifest: ${name}`);
  const index = indexOf(manifests, name);
  const auth = await registryAuth(context.config(), reference.domain);
  const { Digest } = await context.client().images.pushManifestList({
    Name: full, Index: { MediaType: index.mediaType, Raw: Buffer.from(index.text).toString('base64') },
    Manifests: manifests.map(({ Ref, Descriptor: { mediaType, digest }, Raw }) => ({ Ref, MediaType: mediaType, Digest: digest, Raw })),
  }, { ...(auth === undefined ? {} : { auth }), insecure: flags.bool('insecure') });
  for (const { Descriptor: { digest } } of manifests) io.out(`Pushed ref ${fullName(reference).replace(/^docker\.io\/(library\/)?/, '')}@${digest} with digest: ${digest}\n`);
  io.out(`${Digest}\n`);
  if (flags.bool('purge')) store.remove(full);
  return 0;
};

/** `manifest rm`. */
export const remove: CommandRunner = async (context) => {
  const store = storeOf(context);
  const missing: string[] = [];
  for (const text of context.args) {
    const { full, name } = named(text);
    if (!store.remove(full)) missing.push(`No such manifest: ${name}`);
  }
  if (missing.length > 0) throw new NaruError('not-found', missing.join('\n'));
  return 0;
};
