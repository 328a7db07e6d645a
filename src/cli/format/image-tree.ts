import type { ImageSummary } from '#spec/engine-api.ts';
import { humanSize } from './human-size.ts';
import { alignTabs } from './tab-writer.ts';
import { shortId } from './table.ts';

/** `images --tree`: each image with the platforms that its index lists. What is not here has no size. */
export function imageTree(images: readonly ImageSummary[]): string {
  let text = 'IMAGE\tID\tDISK USAGE\tIN USE\n';
  for (const image of images) {
    const platforms = (image.Manifests ?? []).filter(({ Kind }) => Kind === 'image');
    const names = image.RepoTags.length > 0 ? image.RepoTags : ['<untagged>'];
    const total = platforms.reduce((sum, { Size }) => sum + Size.Total, 0) || image.Size;
    const used = platforms.some(({ ImageData }) => (ImageData?.Containers.length ?? 0) > 0);
    for (const name of names.slice(0, -1)) text += `${name}\t\t\t\n`;
    text += `${names.at(-1)}\t${shortId(image.Id)}\t${humanSize(total, 3)}\t${used ? 'yes' : ''}\n`;
    platforms.forEach(({ ID, Available, Size, ImageData }, i) => {
      const { os, architecture, variant } = ImageData!.Platform;
      const platform = [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/');
      text += `${i === platforms.length - 1 ? '└─' : '├─'} ${platform}\t${shortId(ID)}\t${Available ? humanSize(Size.Total, 3) : '-'}\t${ImageData!.Containers.length > 0 ? 'yes' : ''}\n`;
    });
  }
  return alignTabs(text, { minimum: 10, padding: 3 });
}
