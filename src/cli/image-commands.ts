import type { Command } from './command.ts';
import { FILTER, FORCE, FORMAT, FORMAT_F } from './container-commands.ts';
import { flag, noFlags } from './flags/flag.ts';

const MANY = Number.POSITIVE_INFINITY;
const PLATFORM = flag('platform', 'string', 'Only this platform (os[/arch[/variant]])');
const INSECURE = flag('insecure', 'bool', 'Certificates are not checked, and plain HTTP will do');
const TRUST = flag('disable-content-trust', 'bool', 'Skip the check of image signatures', { default: 'true' });

/** `image …`, most of them also as a command of their own. */
export const IMAGE_COMMANDS: readonly Command[] = [
  {
    names: ['build', 'image build', 'builder build'], usage: '[OPTIONS] PATH | URL | -', summary: 'Build an image from a Dockerfile', args: [0, MANY], flagsFirst: true, completes: 'files', common: true, flags: noFlags,
    load: async () => (await import('./commands/not-yet.ts')).build,
  },
  {
    names: ['history', 'image history'], usage: '[OPTIONS] IMAGE', summary: 'Show how an image came to be', args: [1, 1], completes: 'images',
    flags: () => [FORMAT, flag('human,H', 'bool', 'Print sizes and times for people', { default: 'true' }), flag('no-trunc', 'bool', 'Print in full length'), PLATFORM, flag('quiet,q', 'bool', 'Only ids')],
    load: async () => (await import('./commands/image-history.ts')).history,
  },
  {
    names: ['images', 'image ls', 'image list'], usage: '[OPTIONS] [REPOSITORY[:TAG]]', summary: 'List images', args: [0, 1], completes: 'images', common: true,
    flags: () => [flag('all,a', 'bool', 'Intermediate ones too'), flag('digests', 'bool', 'Digests too'), FILTER, FORMAT, flag('no-trunc', 'bool', 'Print in full length'), flag('quiet,q', 'bool', 'Only ids'), flag('tree', 'bool', 'With the platforms of each image')],
    load: async () => (await import('./commands/list-images.ts')).listImages,
  },
  {
    names: ['import', 'image import'], usage: '[OPTIONS] file|URL|- [REPOSITORY[:TAG]]', summary: 'Make an image of a root file system in a tar archive', args: [1, MANY], completes: 'files', completeArgs: 1,
    flags: () => [flag('change,c', 'list', 'Apply a Dockerfile instruction'), flag('message,m', 'string', 'What it is about'), flag('platform', 'string', 'Platform of the image')],
    load: async () => (await import('./commands/import-image.ts')).importImage,
  },
  { names: ['image inspect'], usage: '[OPTIONS] IMAGE [IMAGE...]', summary: 'Show everything about images', args: [1, MANY], completes: 'images', flags: () => [FORMAT_F, PLATFORM], load: async () => (await import('./commands/inspect.ts')).inspectImages },
  {
    names: ['load', 'image load'], usage: '[OPTIONS]', summary: 'Load images from a tar archive', args: [0, 0],
    flags: () => [flag('input,i', 'string', 'Read a file, not stdin', { completes: 'files' }), PLATFORM, flag('quiet,q', 'bool', 'Hide the progress')],
    load: async () => (await import('./commands/load-images.ts')).loadImages,
  },
  { names: ['image generate-keys'], usage: '[OPTIONS]', summary: 'Make a key pair to sign images with', args: [0, 0], naru: true, flags: () => [flag('output-key-prefix', 'string', 'Names of the files, without .key and .pub', { default: 'cosign' })], load: async () => (await import('./commands/image-signatures.ts')).generateKeys },
  { names: ['image prune'], usage: '[OPTIONS]', summary: 'Remove unused images', args: [0, 0], flags: () => [flag('all,a', 'bool', 'All unused ones, not only those without a name'), flag('filter', 'filter', 'Only what matches (until=<timestamp>)'), FORCE], load: async () => (await import('./commands/prune.ts')).pruneImages },
  {
    names: ['manifest annotate'], usage: '[OPTIONS] MANIFEST_LIST MANIFEST', summary: 'Say for what platform a manifest of a list is', args: [2, 2],
    flags: () => [flag('arch', 'string', 'Architecture'), flag('os', 'string', 'Operating system'), flag('os-features', 'strings', 'Features of the operating system'), flag('os-version', 'string', 'Version of the operating system'), flag('variant', 'string', 'Variant of the architecture')],
    load: async () => (await import('./commands/manifest-lists.ts')).annotate,
  },
  { names: ['manifest create'], usage: '[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]', summary: 'Begin a list of images for several platforms', args: [2, MANY], flags: () => [flag('amend,a', 'bool', 'Add to a list that is there'), INSECURE], load: async () => (await import('./commands/manifest-lists.ts')).create },
  { names: ['manifest inspect'], usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST', summary: 'Show a manifest or a list, begun here or in its registry', args: [1, 2], flags: () => [INSECURE, flag('verbose,v', 'bool', 'Layers and platforms too')], load: async () => (await import('./commands/manifest-lists.ts')).inspect },
  { names: ['manifest push'], usage: '[OPTIONS] MANIFEST_LIST', summary: 'Push a list to its registry', args: [1, 1], flags: () => [INSECURE, flag('purge,p', 'bool', 'Forget the list here afterwards')], load: async () => (await import('./commands/manifest-lists.ts')).push },
  { names: ['manifest rm'], usage: 'MANIFEST_LIST [MANIFEST_LIST...]', summary: 'Forget lists that were begun here', args: [1, MANY], flags: noFlags, load: async () => (await import('./commands/manifest-lists.ts')).remove },
  {
    names: ['pull', 'image pull'], usage: '[OPTIONS] NAME[:TAG|@DIGEST]', summary: 'Download an image from a registry', args: [1, 1], completes: 'images', common: true,
    flags: () => [flag('all-tags,a', 'bool', 'All tags of the repository'), TRUST, flag('platform', 'string', 'Platform of the image'), flag('quiet,q', 'bool', 'Hide the progress'), flag('referrers', 'bool', 'Bring what refers to the image too: signatures, attestations')],
    load: async () => (await import('./commands/pull-push.ts')).pull,
  },
  {
    names: ['push', 'image push'], usage: '[OPTIONS] NAME[:TAG]', summary: 'Upload an image to a registry', args: [1, 1], completes: 'images', common: true,
    flags: () => [flag('all-tags,a', 'bool', 'All tags of the repository'), flag('compression', 'string', 'Of layers: gzip or zstd'), flag('compression-level', 'int', 'How hard to try (gzip 1-9, zstd 1-22)'), TRUST, PLATFORM, flag('quiet,q', 'bool', 'Hide the progress')],
    load: async () => (await import('./commands/pull-push.ts')).push,
  },
  {
    names: ['rmi', 'image rm', 'image remove'], usage: '[OPTIONS] IMAGE [IMAGE...]', summary: 'Remove images', args: [1, MANY], completes: 'images',
    flags: () => [flag('force,f', 'bool', 'Remove it although something uses it'), flag('no-prune', 'bool', 'Keep parents without a name'), flag('platform', 'strings', 'Only this platform')],
    load: async () => (await import('./commands/remove-images.ts')).removeImages,
  },
  {
    names: ['save', 'image save'], usage: '[OPTIONS] IMAGE [IMAGE...]', summary: 'Write images as a tar archive', args: [1, MANY], completes: 'images',
    flags: () => [flag('output,o', 'string', 'Write to a file, not stdout', { completes: 'files' }), PLATFORM], load: async () => (await import('./commands/write-archive.ts')).saveImages,
  },
  {
    names: ['image referrers'], usage: '[OPTIONS] IMAGE', summary: 'List what refers to an image: signatures, attestations, artifacts', args: [1, 1], completes: 'images', naru: true,
    flags: () => [flag('artifact-type', 'string', 'Only this type'), FORMAT, flag('local', 'bool', 'What is kept here, without asking the registry'), flag('quiet,q', 'bool', 'Only digests')],
    load: async () => (await import('./commands/image-signatures.ts')).referrers,
  },
  {
    names: ['image sign'], usage: '[OPTIONS] IMAGE', summary: 'Sign an image in its registry, as cosign does', args: [1, 1], completes: 'images', naru: true,
    flags: () => [flag('form', 'string', 'How it is stored: tag, referrer or bundle', { default: 'tag' }), flag('key', 'string', 'Private key in PEM (its password in COSIGN_PASSWORD)', { completes: 'files' })],
    load: async () => (await import('./commands/image-signatures.ts')).sign,
  },
  {
    names: ['image verify'], usage: '[OPTIONS] IMAGE', summary: 'Check the signatures of an image, with keys or by the image policy', args: [1, 1], completes: 'images', naru: true,
    flags: () => [flag('any-name', 'bool', 'Signatures made under another name count too'), FORMAT, flag('key', 'list', 'Public key in PEM', { completes: 'files' }), flag('local', 'bool', 'Signatures that are kept here, without asking the registry')],
    load: async () => (await import('./commands/image-signatures.ts')).verify,
  },
  { names: ['tag', 'image tag'], usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]', summary: 'Give an image one more name', args: [2, 2], completes: 'images', flags: noFlags, load: async () => (await import('./commands/tag-image.ts')).tagImage },
];
