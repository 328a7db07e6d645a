import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from '../metadata/open-metadata.ts';
import { findRepository, repositoryNames } from '../metadata/repositories.ts';
import { namePattern } from '../name-pattern.ts';

/**
 * Which tags of which repositories stay: those that are among the newest `keepLast`, or moved within `maxAge`, or pulled
 * within `pulledWithin` (milliseconds). A tag that no rule matches stays; the first rule that matches decides.
 */
export interface RetentionRule {
  repositories: string;
  tags: string;
  keepLast?: number;
  maxAge?: number;
  pulledWithin?: number;
}
export interface RetentionOptions {
  rules: readonly RetentionRule[];
  /** How long a manifest stays that no tag, no index and no subject here leads to. Absent: for ever. */
  untagged?: number;
  /** Pull-through caches: manifests that nobody has pulled for so long go, tagged or not. */
  unpulled?: number;
  now: number;
  dryRun?: boolean;
}
export interface RetentionReport { tags: { repository: string; name: string }[]; manifests: number }

const PAGE = 100;

/** Removes what the rules let go; the blobs follow at the next collection. */
export function applyRetention(metadata: Metadata, options: RetentionOptions): RetentionReport {
  const report: RetentionReport = { tags: [], manifests: 0 };
  for (let last = ''; ;) {
    const names = repositoryNames(metadata, last, PAGE);
    for (const name of names) {
      const repository = findRepository(metadata, name) as number;
      if (options.rules.length > 0) report.tags.push(...expiredTags(metadata, name, repository, options).map((tag) => ({ repository: name, name: tag })));
      if (options.dryRun === true) continue;
      report.manifests += dropManifests(metadata, repository, options);
    }
    if (names.length < PAGE) return report;
    last = names.at(-1) as string;
  }
}

function expiredTags(metadata: Metadata, name: RepositoryName, repository: number, { rules, now, dryRun }: RetentionOptions): string[] {
  const tags = metadata.all<{ name: string; updated: number; pulled: number | null }>(
    'SELECT t.name, t.updated, m.pulled FROM tags t JOIN manifests m ON m.id = t.manifest WHERE t.repository = ? ORDER BY t.updated DESC, t.name DESC', repository);
  const chosen = rules.filter((rule) => namePattern(rule.repositories)(name)).map((rule) => ({ rule, matches: namePattern(rule.tags), seen: 0 }));
  const expired = tags.filter((tag) => {
    const found = chosen.find(({ matches }) => matches(tag.name));
    if (found === undefined) return false;
    const { keepLast, maxAge, pulledWithin } = found.rule;
    if (keepLast === undefined && maxAge === undefined && pulledWithin === undefined) return false;
    if (keepLast !== undefined && found.seen++ < keepLast) return false;
    if (maxAge !== undefined && now - tag.updated < maxAge) return false;
    return pulledWithin === undefined || now - Math.max(tag.pulled ?? 0, tag.updated) >= pulledWithin;
  }).map((tag) => tag.name);
  if (dryRun !== true && expired.length > 0) {
    metadata.transaction(() => { for (const tag of expired) metadata.run('DELETE FROM tags WHERE repository = ? AND name = ?', repository, tag); });
  }
  return expired;
}

/** Manifests that nothing leads to, until no more are found: an index that goes lets its children go. */
function dropManifests(metadata: Metadata, repository: number, { untagged, unpulled, now }: RetentionOptions): number {
  let dropped = 0;
  if (unpulled !== undefined) {
    dropped += metadata.transaction(() => metadata.run('DELETE FROM manifests WHERE repository = ? AND max(pushed, coalesce(pulled, 0)) < ?', repository, now - unpulled));
  }
  while (untagged !== undefined) {
    const gone = metadata.transaction(() => metadata.run(
      `DELETE FROM manifests WHERE repository = ?1 AND max(pushed, coalesce(pulled, 0)) < ?2
         AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest = manifests.id)
         AND NOT EXISTS (SELECT 1 FROM manifest_children c JOIN manifests i ON i.id = c.manifest WHERE c.digest = manifests.digest AND i.repository = ?1)
         AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.repository = ?1 AND s.digest = manifests.subject)`, repository, now - untagged));
    dropped += gone;
    if (gone === 0) break;
  }
  if (dropped > 0) metadata.transaction(() => metadata.run('DELETE FROM documents WHERE NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = documents.digest)'));
  return dropped;
}
