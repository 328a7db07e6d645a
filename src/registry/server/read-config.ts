import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { NaruError } from '#spec/errors.ts';
import { ACTIONS, type AccessRule, type Action } from './auth/rights.ts';
import type { RetentionRule } from './garbage/apply-retention.ts';
import type { WebhookOptions } from './notify/webhook.ts';
import { DEFAULT_OPTIONS, type RegistryOptions } from './options.ts';
import { parseSize, parseTime } from './parse-units.ts';

const MAX_CONFIG_BYTES = 1 << 20;

/** A mapping of the file, whose keys are asked for one by one; `done` refuses the ones that nobody asked for. */
class Section {
  readonly #values: Record<string, unknown>;
  readonly #where: string;
  readonly #asked = new Set<string>();

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NaruError('invalid', `${where || 'the configuration'} must be a mapping`);
    this.#values = value as Record<string, unknown>;
    this.#where = where;
  }

  #get(key: string): unknown {
    this.#asked.add(key);
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }
  #path(key: string): string { return this.#where === '' ? key : `${this.#where}.${key}`; }

  as<T>(key: string, read: (value: unknown) => T): T | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    try { return read(value); } catch (error) { throw new NaruError('invalid', `${this.#path(key)}: ${(error as Error).message}`, { cause: error }); }
  }
  text(key: string): string | undefined {
    return this.as(key, (value) => { if (typeof value === 'string') return value; throw new NaruError('invalid', 'a text is wanted'); });
  }
  required(key: string): string {
    const value = this.text(key);
    if (value === undefined) throw new NaruError('invalid', `${this.#path(key)} is missing`);
    return value;
  }
  number(key: string): number | undefined {
    return this.as(key, (value) => { if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value; throw new NaruError('invalid', 'a whole number is wanted'); });
  }
  flag(key: string): boolean | undefined {
    return this.as(key, (value) => { if (typeof value === 'boolean') return value; throw new NaruError('invalid', 'true or false is wanted'); });
  }
  texts(key: string): string[] | undefined {
    return this.as(key, (value) => {
      const list = Array.isArray(value) ? value : [value];
      if (list.every((one) => typeof one === 'string')) return list as string[];
      throw new NaruError('invalid', 'a list of texts is wanted');
    });
  }
  section<T>(key: string, read: (section: Section) => T): T | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : finished(new Section(value, this.#path(key)), read);
  }
  list<T>(key: string, read: (section: Section) => T): T[] | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw new NaruError('invalid', `${this.#path(key)} must be a list`);
    return value.map((one, i) => finished(new Section(one, `${this.#path(key)}[${i}]`), read));
  }
  done(): void {
    const unknown = Object.keys(this.#values).find((key) => !this.#asked.has(key));
    if (unknown !== undefined) throw new NaruError('invalid', `${this.#path(unknown)} is not a setting`, { hint: `here are: ${[...this.#asked].join(', ')}` });
  }
}

function finished<T>(section: Section, read: (section: Section) => T): T {
  const value = read(section);
  section.done();
  return value;
}

/** Settings of a YAML or JSON file, over the defaults. Throws `invalid`, naming the setting. */
export function readConfig(path: string): RegistryOptions {
  let document: unknown;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_CONFIG_BYTES) throw new NaruError('invalid', 'it is too large');
    document = parseYaml(text, { maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new NaruError('invalid', `the configuration ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseConfig(document);
}

/** The same for a document that is at hand. */
export const parseConfig = (document: unknown): RegistryOptions => finished(new Section(document, ''), (top) => {
  const d = DEFAULT_OPTIONS;
  return {
    host: top.text('host') ?? d.host, port: top.number('port') ?? d.port, allowedHosts: top.texts('allowedHosts') ?? d.allowedHosts, data: top.text('data') ?? d.data,
    tls: top.section('tls', (s) => {
      const clientCa = s.text('clientCa');
      return { certificate: s.required('certificate'), key: s.required('key'), ...(clientCa === undefined ? {} : { clientCa }) };
    }),
    s3: top.section('s3', (s) => ({
      endpoint: s.required('endpoint'), bucket: s.required('bucket'), region: s.text('region') ?? 'us-east-1', prefix: s.text('prefix') ?? '',
      accessKeyId: s.text('accessKeyId') ?? process.env['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: s.text('secretAccessKey') ?? process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
      partBytes: s.as('partSize', parseSize) ?? 16 << 20,
    })),
    htpasswd: top.section('htpasswd', (s) => ({ path: s.required('path'), realm: s.text('realm') ?? 'naru registry' })),
    token: top.section('token', (s) => ({ realm: s.required('realm'), service: s.required('service'), issuer: s.required('issuer'), keys: s.required('keys') })),
    access: top.list('access', accessRule) ?? d.access,
    anonymousPull: top.texts('anonymousPull') ?? d.anonymousPull,
    quotas: top.list('quotas', (s) => ({ repositories: s.text('repositories') ?? '**', bytes: s.as('size', parseSize) ?? Infinity })) ?? d.quotas,
    retention: top.section('retention', (s) => ({ rules: s.list('rules', retentionRule) ?? [], untagged: s.as('untagged', parseTime), unpulled: s.as('unpulled', parseTime) })) ?? d.retention,
    garbage: top.section('garbage', (s) => ({ interval: s.as('interval', parseTime) ?? d.garbage.interval, grace: s.as('grace', parseTime) ?? d.garbage.grace })) ?? d.garbage,
    upstream: top.section('upstream', (s) => {
      const [username, password] = [s.text('username'), s.text('password')];
      return { url: s.required('url'), fresh: s.as('fresh', parseTime) ?? 60_000, ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
    }),
    webhooks: top.list('webhooks', webhookOptions) ?? d.webhooks,
    accessLog: top.text('accessLog') ?? d.accessLog,
    maxBlobBytes: top.as('maxBlobSize', parseSize) ?? d.maxBlobBytes,
    uploadIdle: top.as('uploadIdle', parseTime) ?? d.uploadIdle, uploadExpiry: top.as('uploadExpiry', parseTime) ?? d.uploadExpiry,
    maxConnections: top.number('maxConnections') ?? d.maxConnections, headTimeout: top.as('headTimeout', parseTime) ?? d.headTimeout, sparse: top.flag('sparse') ?? d.sparse,
  };
});

function accessRule(s: Section): AccessRule {
  const actions = s.texts('actions') ?? ['pull'];
  const wrong = actions.find((one) => !(ACTIONS as readonly string[]).includes(one));
  if (wrong !== undefined) throw new NaruError('invalid', `access: ${JSON.stringify(wrong)} is no action`, { hint: `there are ${ACTIONS.join(', ')}` });
  return { users: s.texts('users') ?? ['*'], repositories: s.text('repositories') ?? '**', actions: actions as Action[] };
}

function retentionRule(s: Section): RetentionRule {
  const [keepLast, maxAge, pulledWithin] = [s.number('keepLast'), s.as('maxAge', parseTime), s.as('pulledWithin', parseTime)];
  return {
    repositories: s.text('repositories') ?? '**', tags: s.text('tags') ?? '**',
    ...(keepLast === undefined ? {} : { keepLast }), ...(maxAge === undefined ? {} : { maxAge }), ...(pulledWithin === undefined ? {} : { pulledWithin }),
  };
}

function webhookOptions(s: Section): WebhookOptions {
  const url = s.required('url');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new NaruError('invalid', `webhooks: ${JSON.stringify(url)} is no http address`);
  const headers = s.as('headers', (value) => Object.fromEntries(Object.entries(value as object).map(([name, text]) => [name, String(text)])));
  const secret = s.text('secret');
  const [queue, attempts, timeout] = [s.number('queue'), s.number('attempts'), s.as('timeout', parseTime)];
  return { url, ...(headers === undefined ? {} : { headers }), ...(secret === undefined ? {} : { secret }), ...(queue === undefined ? {} : { queue }), ...(attempts === undefined ? {} : { attempts }), ...(timeout === undefined ? {} : { timeout }) };
}
