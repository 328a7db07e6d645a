import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import { isObject, type ArchiveContents } from './archive-contents.ts';
import { MAX_LAYERS, type StagedImage, type StagedLayer } from './publish-images.ts';
import { parseTag } from './reference.ts';

const ID = /^[0-9a-f]{64}$/;

/** Archives of Docker before 1.10: `repositories` names images, each `<id>/json` its parent, `<id>/layer.tar` its files. The
 *  config that today's images have is made of them. https://github.com/moby/docker-image-spec/blob/main/v1.md */
export function legacyImages({ contents, layers }: { contents: ArchiveContents; layers: Map<Digest, StagedLayer> }): StagedImage[] {
  const repositories = contents.json('repositories');
  if (!isObject(repositories)) throw new NaruError('corrupt', 'invalid archive: repositories is not an object');
  const tags = new Map<string, string[]>();
  for (const [name, versions] of Object.entries(repositories)) {
    for (const [tag, id] of Object.entries(isObject(versions) ? versions : {})) {
      if (typeof id !== 'string' || !ID.test(id)) throw new NaruError('corrupt', `invalid archive: ${name}:${tag} names no image`);
      tags.set(id, [...(tags.get(id) ?? []), parseTag(`${name}:${tag}`)]);
    }
  }
  return [...tags].map(([id, names]) => ({ config: configOf(id, { contents, layers }), tags: names }));
}

function configOf(top: string, { contents, layers }: { contents: ArchiveContents; layers: Map<Digest, StagedLayer> }): Uint8Array {
  const chain: { id: string; json: Record<string, unknown> }[] = [];
  for (let id: unknown = top; id !== undefined && id !== ''; ) {
    if (typeof id !== 'string' || !ID.test(id)) throw new NaruError('corrupt', 'invalid archive: a parent is no image id');
    if (chain.length >= MAX_LAYERS) throw new NaruError('too-large', `image has more than ${MAX_LAYERS} layers`); // or is its own ancestor
    const json = contents.json(`${id}/json`);
    if (!isObject(json)) throw new NaruError('corrupt', `invalid archive: ${id}/json is not an object`);
    chain.unshift({ id, json });
    id = json['parent'];
  }
  const diffIds = chain.map(({ id }) => {
    const { result } = contents.layer(`${id}/layer.tar`);
    if (!layers.has(result.diffId)) layers.set(result.diffId, result);
    return result.diffId;
  });
  const { architecture, os, config, created, author, docker_version } = chain[chain.length - 1]!.json;
  const command = (json: Record<string, unknown>): unknown => {
    const cmd = isObject(json['container_config']) ? json['container_config']['Cmd'] : undefined;
    return Array.isArray(cmd) ? cmd.join(' ') : undefined;
  };
  const document = {
    architecture: architecture ?? 'amd64', os: os ?? 'linux', config, created, author, docker_version,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: chain.map(({ json }) => ({ created: json['created'], created_by: command(json), author: json['author'], comment: json['comment'] })),
  };
  return Buffer.from(JSON.stringify(document as unknown as ImageConfig));
}
