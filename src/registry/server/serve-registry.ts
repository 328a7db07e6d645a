import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { lockFile } from '#sys/lock-file.ts';
import { accessLog } from './access-log.ts';
import { authenticator } from './auth/authenticator.ts';
import { clean, every, type CleaningReport } from './garbage/janitor.ts';
import { hostGuard } from './http/host-guard.ts';
import { serveHttp } from './http/http-service.ts';
import { createMetrics } from './metrics.ts';
import { namePattern } from './name-pattern.ts';
import { forgetOtherHooks, webhook } from './notify/webhook.ts';
import { openRegistryData } from './open-registry-data.ts';
import type { RegistryOptions } from './options.ts';
import type { Registry } from './registry.ts';
import { UploadBook } from './uploads/upload-book.ts';
import { pullThrough } from './upstream/pull-through.ts';

export interface RegistryServer extends AsyncDisposable {
  port: number;
  url: string;
  /** Runs retention and collection now; undefined when another process is at it. */
  clean(): Promise<CleaningReport | undefined>;
  /** Reads the certificate files again. */
  renew(): void;
}

/** The registry's composition root: everything it is made of, in the order in which it depends on one another. */
export async function serveRegistry(options: RegistryOptions, say: (line: string) => void = () => undefined): Promise<RegistryServer> {
  await using stack = new AsyncDisposableStack();
  const failed = (error: unknown): void => say(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);

  const data = openRegistryData(options);
  stack.defer(() => data.metadata.close());
  const lock = lockFile(join(data.root, 'server.lock'));
  if (lock === undefined) throw new NaruError('conflict', `another registry serves ${data.root}`, { hint: 'stop it, or choose another directory with --data' });
  stack.defer(() => lock.release());

  const { metadata, storage } = data;
  let inFlight = (): number => 0;
  const metrics = createMetrics(() => ({
    ...(metadata.one<Record<string, number>>(
      'SELECT count(*) AS naru_registry_blobs, coalesce(sum(size), 0) AS naru_registry_stored_bytes, (SELECT count(*) FROM repositories) AS naru_registry_repositories, (SELECT count(*) FROM events) AS naru_registry_events_waiting FROM blobs WHERE stored')),
    naru_registry_requests_in_flight: inFlight(),
  }));
  forgetOtherHooks(metadata, options.webhooks.map(({ url }) => url));
  const hooks = options.webhooks.map((one) => stack.use(webhook(metadata, one, (what, count, error) => {
    metrics.count('naru_registry_events_total', { outcome: what }, count);
    if (error !== undefined) say(`webhook ${new URL(one.url).origin}: ${count} events given up: ${(error as Error).message}`);
  })));
  const quotas = options.quotas.map((quota) => ({ matches: namePattern(quota.repositories), bytes: quota.bytes }));
  const uploads = new UploadBook(metadata, data.uploads);
  const registry: Registry = {
    metadata, storage, uploads, metrics,
    auth: await authenticator({
      access: options.access, anonymousPull: options.anonymousPull,
      ...(options.htpasswd === undefined ? {} : { htpasswd: options.htpasswd }), ...(options.token === undefined ? {} : { token: options.token }),
    }),
    events: { emit: (event) => hooks.forEach((hook) => hook.emit(event)) },
    upstream: options.upstream === undefined ? undefined : pullThrough(options.upstream, () => registry),
    limits: {
      quotaOf: (name) => quotas.find((quota) => quota.matches(name))?.bytes,
      maxBlobBytes: options.maxBlobBytes, uploadIdle: options.uploadIdle, grace: options.garbage.grace,
      sparse: options.sparse,
    },
  };

  let first = true;
  const cleanNow = async (): Promise<CleaningReport | undefined> => {
    await uploads.sweep(Date.now() - options.uploadExpiry);
    const report = await clean(data, { grace: options.garbage.grace, retention: options.retention, checkStorage: first });
    first = false;
    metrics.count('naru_registry_collected_blobs_total', {}, report?.blobs ?? 0);
    metrics.count('naru_registry_collected_bytes_total', {}, report?.bytes ?? 0);
    if (report !== undefined && report.blobs + report.strays + report.expired.tags.length > 0) {
      say(`cleaned: ${report.expired.tags.length} tags, ${report.expired.manifests} manifests, ${report.blobs} blobs (${report.bytes} bytes), ${report.strays} strays`);
    }
    return report;
  };
  stack.use(every(options.garbage.interval, cleanNow, failed));

  const readTls = (): { cert: string; key: string; ca?: string } | undefined => {
    const { tls } = options;
    if (tls === undefined) return undefined;
    try {
      return { cert: readFileSync(tls.certificate, 'utf8'), key: readFileSync(tls.key, 'utf8'), ...(tls.clientCa === undefined ? {} : { ca: readFileSync(tls.clientCa, 'utf8') }) };
    } catch (error) {
      throw new NaruError('invalid', `the TLS files cannot be read: ${(error as Error).message}`, { cause: error });
    }
  };
  const log = stack.use(accessLog(options.accessLog));
  const service = stack.use(await serveHttp(registry, { host: options.host, port: options.port, tls: readTls(), maxConnections: options.maxConnections, headTimeout: options.headTimeout, log, admit: hostGuard(options), failed }));
  inFlight = service.inFlight;

  const owned = stack.move();
  return {
    port: service.port,
    url: `${options.tls === undefined ? 'http' : 'https'}://${options.host.includes(':') ? `[${options.host}]` : options.host}:${service.port}`,
    clean: cleanNow,
    renew: () => service.renew(readTls() as { cert: string; key: string }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
