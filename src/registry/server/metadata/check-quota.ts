import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from './open-metadata.ts';
import { repositoryBytes } from './repositories.ts';

/** The refusal of whatever would take a repository over its quota. */
export const overQuota = (name: RepositoryName, quota: number): Error =>
  registryError('DENIED', `repository ${name} may hold ${quota} bytes, and this would be more`, { hint: 'delete tags, or ask for a larger quota' });

/** To be asked within the transaction that added something: throwing undoes it. */
export function checkQuota(metadata: Metadata, name: RepositoryName, quota: number | undefined): void {
  if (quota !== undefined && repositoryBytes(metadata, name) > quota) throw overQuota(name, quota);
}
