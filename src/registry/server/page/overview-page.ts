import { createHash } from 'node:crypto';
import type { Digest } from '#spec/ids.ts';
import { isRepositoryName, type RepositoryName } from '#registry/protocol/repository-name.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { visibleNames } from '../handlers/listings.ts';
import type { Call, Reply } from '../http/call.ts';
import { findReferrers } from '../metadata/referrers.ts';
import { findRepository, summarizeRepository } from '../metadata/repositories.ts';
import { contentsOf, summarizeTags, type TagSummary } from '../metadata/tags.ts';
import type { Registry } from '../registry.ts';
import { html, type Html } from './escape-html.ts';
import { STYLE } from './style.ts';

const PAGE = 100;
const MOST_ANNOTATIONS = 30;
const MOST_REFERRERS = 50;

/** The page may load nothing and run nothing; its one style sheet is named by its hash. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
type Fragment = { safe: Html };

/** GET /: the repositories that the caller may see; `?repository=`: one of them with tags, layers and sizes. */
export async function overviewPage(registry: Registry, call: Call): Promise<Reply> {
  const wanted = call.query.get('repository');
  const last = call.query.get('last') ?? '';
  if (wanted === null) return page('Repositories', call, repositoryList(registry, call, last));
  if (!isRepositoryName(wanted) || !(call.caller.may(wanted, 'pull') || call.caller.seesAll === true) || findRepository(registry.metadata, wanted) === undefined) {
    throw registryError('NAME_UNKNOWN', 'repository name not known to registry');
  }
  return page(wanted, call, tagList(registry, { name: wanted, last, host: call.header('host') }));
}

function page(title: string, call: Call, body: Fragment): Reply {
  const document = html`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title} · naru registry</title><style>${{ safe: STYLE as Html }}</style></head>
<body><header><div><a class="brand" href="/">naru registry</a><span class="soft small">${call.header('host')}${call.caller.user === undefined ? '' : ` · ${call.caller.user}`}</span></div></header><main>${body}</main></body></html>`;
  return { status: 200, headers: { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': POLICY, 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store' }, body: document.safe };
}

function repositoryList(registry: Registry, call: Call, last: string): Fragment {
  const names = visibleNames(registry, call, { last, limit: PAGE + 1 });
  const rows = names.slice(0, PAGE).map((name) => {
    const one = summarizeRepository(registry.metadata, name);
    return html`<li class="row"><a class="name" href="/?repository=${encodeURIComponent(name)}">${name}</a><span class="n">${formatBytes(one.bytes)}</span><span class="n tags soft">${count(one.tags, 'tag')}</span><span class="when soft small">${formatTime(one.pushed)}</span></li>`.safe;
  });
  if (rows.length === 0) return html`<h1>Repositories</h1><div class="card"><div class="empty">Nothing has been pushed yet.<br><code>docker push ${call.header('host')}/name:tag</code></div></div>`;
  return html`<h1>Repositories</h1><ul class="card">${rows}</ul>${more('/?', names, (name) => name)}`;
}

function tagList(registry: Registry, { name, last, host }: { name: RepositoryName; last: string; host: string }): Fragment {
  const repository = findRepository(registry.metadata, name) as number;
  const { tags: total, bytes } = summarizeRepository(registry.metadata, name);
  const tags = summarizeTags(registry.metadata, repository, last, PAGE + 1);
  const rows = tags.slice(0, PAGE).map((tag) => html`<details><summary class="row"><span class="name">${tag.name}</span><span class="n">${formatBytes(tag.bytes)}</span><span class="n tags"><code class="soft">${shortDigest(tag.digest)}</code></span><span class="when soft small">${formatTime(tag.updated)}</span></summary>
<div class="inside">${tagDetails(registry, { name, repository, tag, host })}</div></details>`.safe);
  const table = rows.length === 0 ? html`<div class="card"><div class="empty">No tags.</div></div>` : html`<div class="card">${rows}</div>`;
  return html`<h1>${name}</h1><p class="soft">${count(total, 'tag')}, ${formatBytes(bytes)} stored</p>${table}${more(`/?repository=${encodeURIComponent(name)}&`, tags, (tag) => tag.name)}`;
}

function tagDetails(registry: Registry, { name, repository, tag, host }: { name: RepositoryName; repository: number; tag: TagSummary; host: string }): Fragment {
  const { layers, children, annotations } = contentsOf(registry.metadata, repository, tag.digest);
  const largest = Math.max(1, ...layers.map((one) => one.size), ...children.map((one) => imageBytes(registry, repository, one)));
  const part = (one: { digest: Digest; here: boolean }, what: string, size: number): Html => html`<tr><td class="digest"><code>${one.digest}</code></td><td class="what soft small">${what}${one.here ? '' : html` <span class="missing">not here</span>`}</td><td class="share"><meter min="0" max="${largest}" value="${size}">${size}</meter></td><td class="n small">${formatBytes(size)}</td></tr>`.safe;
  const rows = [
    ...children.map((one) => part(one, one.platform ?? 'manifest', imageBytes(registry, repository, one))),
    ...layers.map((one, i) => part(one, i === 0 ? `config · ${one.mediaType}` : one.mediaType, one.size)),
  ];
  const notes = Object.entries(annotations).slice(0, MOST_ANNOTATIONS).map(([key, value]) => html`<dt><code>${key.slice(0, 200)}</code></dt><dd>${value.slice(0, 1_000)}</dd>`.safe);
  const referrers = findReferrers(registry.metadata, name, tag.digest, { artifactType: undefined, last: '', limit: MOST_REFERRERS })
    .map((one) => html`<tr><td class="digest"><code>${one.digest}</code></td><td class="what soft small">${one.artifactType ?? one.mediaType}</td><td class="n small">${formatBytes(one.size)}</td></tr>`.safe);
  return html`<code class="pull">docker pull ${host}/${name}:${tag.name}</code><h2>Manifest</h2><code>${tag.digest}</code><span class="chip">${tag.mediaType}</span>
${notes.length === 0 ? html`` : html`<h2>Annotations</h2><dl class="small">${notes}</dl>`}
<h2>${children.length > 0 ? 'Platforms' : 'Layers'}</h2><table class="parts"><tbody>${rows}</tbody></table>
${referrers.length === 0 ? html`` : html`<h2>Refers to it</h2><table class="parts"><tbody>${referrers}</tbody></table>`}`;
}

const imageBytes = (registry: Registry, repository: number, child: { digest: Digest; size: number }): number =>
  contentsOf(registry.metadata, repository, child.digest).layers.reduce((sum, layer) => sum + layer.size, 0) || child.size;

const more = <T>(path: string, all: readonly T[], nameOf: (one: T) => string): Fragment =>
  all.length > PAGE ? html`<p><a href="${path}last=${encodeURIComponent(nameOf(all[PAGE - 1] as T))}">More</a></p>` : html``;

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
const shortDigest = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);

/** Sizes as people read them: 1.2 MB. */
export function formatBytes(bytes: number): string {
  const unit = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  return unit === 0 ? `${bytes} B` : `${(bytes / 1000 ** unit).toFixed(1)} ${['B', 'kB', 'MB', 'GB'][unit]}`;
}

const formatTime = (time: number | null): string => (time === null ? '' : `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`);
