import type { ImageRecord } from '#core/store.ts';
import type { Repository } from '#registry/client/repository.ts';
import type { EngineContext } from '../engine-context.ts';
import type { ProgressFeed } from './progress-feed.ts';

/** What all parts of one image's push know. */
export interface Push {
  engine: EngineContext;
  repository: Repository;
  image: ImageRecord;
  /** undefined: by its digest alone. */
  tag: string | undefined;
  place: { domain: string; path: string };
  feed: ProgressFeed;
  /** What layers must be compressed with. */
  compression: { compression: 'gzip' | 'zstd'; level: number } | undefined;
}
