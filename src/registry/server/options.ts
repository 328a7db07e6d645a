import type { AccessRule } from './auth/rights.ts';
import type { TokenOptions } from './auth/token-verifier.ts';
import type { RetentionRule } from './garbage/apply-retention.ts';
import type { WebhookOptions } from './notify/webhook.ts';
import type { S3Options } from './storage/s3-storage.ts';
import type { PullThroughOptions } from './upstream/pull-through.ts';

/** Everything that a registry server can be told. Times in milliseconds, sizes in bytes. */
export interface RegistryOptions {
  host: string;
  port: number;
  /** Names that requests may call it by (http/host-guard.ts). */
  allowedHosts: string[];
  /** Metadata, uploads under way, and blobs unless `s3` is set. */
  data: string;
  tls: { certificate: string; key: string; clientCa?: string } | undefined;
  s3: S3Options | undefined;
  htpasswd: { path: string; realm: string } | undefined;
  token: TokenOptions | undefined;
  access: AccessRule[];
  anonymousPull: string[];
  quotas: { repositories: string; bytes: number }[];
  retention: { rules: RetentionRule[]; untagged: number | undefined; unpulled: number | undefined };
  garbage: { interval: number; grace: number };
  upstream: PullThroughOptions | undefined;
  webhooks: WebhookOptions[];
  /** Where access lines go: `-` is standard output, `off` nowhere. */
  accessLog: string;
  maxBlobBytes: number;
  uploadIdle: number;
  uploadExpiry: number;
  maxConnections: number;
  headTimeout: number;
  sparse: boolean;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** What `naru registry serve` does when it is told nothing. */
export const DEFAULT_OPTIONS: RegistryOptions = {
  host: '127.0.0.1', port: 5000, allowedHosts: [], data: '/var/lib/naru/registry',
  tls: undefined, s3: undefined, htpasswd: undefined, token: undefined, access: [], anonymousPull: [], quotas: [],
  retention: { rules: [], untagged: undefined, unpulled: undefined },
  garbage: { interval: 10 * MINUTE, grace: HOUR },
  upstream: undefined, webhooks: [], accessLog: '-',
  maxBlobBytes: 100 * 2 ** 30, uploadIdle: MINUTE, uploadExpiry: 24 * HOUR, maxConnections: 10_000, headTimeout: MINUTE / 2, sparse: true,
};
