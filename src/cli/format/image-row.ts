import type { ImageSummary } from '#spec/engine-api.ts';
import { familiarName, parseImageReference, type ImageReference } from '../create/image-reference.ts';
import { humanSize } from './human-size.ts';
import { goTime, humanAge } from './human-time.ts';
import { shortId, type Row } from './table.ts';

export const IMAGE_HEADERS: Readonly<Record<string, string>> = {
  ID: 'IMAGE ID', Repository: 'REPOSITORY', Tag: 'TAG', Digest: 'DIGEST', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT', Size: 'SIZE', Containers: 'CONTAINERS', VirtualSize: 'SIZE', SharedSize: 'SHARED SIZE', UniqueSize: 'UNIQUE SIZE',
};

/** The format that an `images` prints with. */
export function imageFormat(format: string, quiet: boolean, digests: boolean): string {
  if (format === '' || format === 'table') {
    if (quiet) return '{{.ID}}';
    return `table {{.Repository}}\t{{.Tag}}\t${digests ? '{{.Digest}}\t' : ''}{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}`;
  }
  if (format === 'raw') return quiet ? 'image_id: {{.ID}}' : `repository: {{ .Repository }}\ntag: {{.Tag}}\n${digests ? 'digest: {{.Digest}}\n' : ''}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n`;
  return format.startsWith('table') && digests && !format.includes('{{.Digest}}') ? `${format}\t{{.Digest}}` : format;
}

/** An image's rows: one a tag, or a digest where digests are shown. */
export function imageRows(image: ImageSummary, options: { trunc: boolean; digests: boolean; needDigest: boolean }): Row[] {
  const tags = bySource(image.RepoTags, (reference) => reference.tag);
  const digests = bySource(image.RepoDigests, (reference) => reference.digest);
  if (isDangling(image)) return [imageRow(image, '<none>', '<none>', '<none>', options.trunc)];
  const rows: Row[] = [];
  for (const [repo, names] of tags) {
    const known = options.needDigest ? (digests.get(repo) ?? []) : [];
    digests.delete(repo);
    for (const tag of names) for (const digest of known.length === 0 ? ['<none>'] : known) rows.push(imageRow(image, repo, tag, digest, options.trunc));
  }
  for (const [repo, known] of digests) {
    if (options.digests) for (const digest of known) rows.push(imageRow(image, repo, '<none>', digest, options.trunc));
    else rows.push(imageRow(image, repo, '<none>', '', options.trunc));
  }
  return rows;
}

export function imageRow(image: ImageSummary, repo: string, tag: string, digest: string, trunc: boolean): Row {
  return {
    Containers: image.Containers === -1 ? 'N/A' : String(image.Containers),
    // Only when it is shown, as in container-row.ts.
    get CreatedAt() { return goTime(image.Created); },
    CreatedSince: humanAge(image.Created), Digest: digest, ID: trunc ? shortId(image.Id) : image.Id, Repository: repo,
    SharedSize: image.SharedSize === -1 ? 'N/A' : humanSize(image.SharedSize), Size: humanSize(image.Size, 3), Tag: tag,
    UniqueSize: image.Size === -1 || image.SharedSize === -1 ? 'N/A' : humanSize(image.Size - image.SharedSize), VirtualSize: humanSize(image.Size),
  };
}

export function isDangling(image: ImageSummary): boolean {
  const [tags, digests] = [image.RepoTags ?? [], image.RepoDigests ?? []];
  return (tags.length === 0 && digests.length === 0) || (tags.length === 1 && tags[0] === '<none>:<none>' && digests.length === 1 && digests[0] === '<none>@<none>');
}

function bySource(names: readonly string[] | null, part: (reference: ImageReference) => string | undefined): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const name of names ?? []) {
    try {
      const reference = parseImageReference(name);
      const value = part(reference);
      if (value !== undefined) out.set(familiarName(reference), [...(out.get(familiarName(reference)) ?? []), value]);
    } catch {
      // A name that is none is not shown.
    }
  }
  return out;
}
