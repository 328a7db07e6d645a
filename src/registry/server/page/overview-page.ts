import { createHash } from 'node:crypto';
import { isRepositoryName, type RepositoryName } from '#registry/protocol/repository-name.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { visibleNames } from '../handlers/listings.ts';
import type { Call, Reply } from '../http/call.ts';
import { findRepository, summarizeRepository } from '../metadata/repositories.ts';
import { contentsOf, summarizeTags } from '../metadata/tags.ts';
import type { Registry } from '../registry.ts';
import { html, type Html } from './escape-html.ts';

const PAGE = 100;
const STYLE = `:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}summary{cursor:pointer}.quiet{opacity:.65}`;

/** The page may load nothing and run nothing; its one style sheet is named by its hash. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** GET /: the repositories that the caller may see; `?repository=`: one of them with tags, layers and sizes. */
export async function overviewPage(registry: Registry, call: Call): Promise<Reply> {
  const wanted = call.query.get('repository');
  const last = call.query.get('last') ?? '';
  if (wanted === null) return page('Repositories', repositoryList(registry, call, last));
  if (!isRepositoryName(wanted) || !(call.caller.may(wanted, 'pull') || call.caller.seesAll === true) || findRepository(registry.metadata, wanted) === undefined) {
    throw registryError('NAME_UNKNOWN', 'repository name not known to registry');
  }
  return page(wanted, tagList(registry, wanted, last));
}

function page(title: string, body: { safe: Html }): Reply {
  const document = html`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} · naru registry</title><style>${{ safe: STYLE as Html }}</style></head><body>${body}</body></html>`;
  return { status: 200, headers: { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': POLICY, 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store' }, body: document.safe };
}

function repositoryList(registry: Registry, call: Call, last: string): { safe: Html } {
  const names = visibleNames(registry, call, { last, limit: PAGE + 1 });
  const rows = names.slice(0, PAGE).map((name) => {
    const one = summarizeRepository(registry.metadata, name);
    return html`<tr><td><a href="/?repository=${encodeURIComponent(name)}">${name}</a></td><td class="n">${one.tags}</td><td class="n">${one.manifests}</td><td class="n">${formatBytes(one.bytes)}</td><td>${formatTime(one.pushed)}</td></tr>`.safe;
  });
  if (rows.length === 0) return html`<h1>Repositories</h1><p class="quiet">Nothing has been pushed yet.</p>`;
  return html`<h1>Repositories</h1><table><thead><tr><th>Name</th><th class="n">Tags</th><th class="n">Manifests</th><th class="n">Size</th><th>Last push</th></tr></thead><tbody>${rows}</tbody></table>${more('/?', names, (name) => name)}`;
}

function tagList(registry: Registry, name: RepositoryName, last: string): { safe: Html } {
  const repository = findRepository(registry.metadata, name) as number;
  const tags = summarizeTags(registry.metadata, repository, last, PAGE + 1);
  const rows = tags.slice(0, PAGE).map((tag) => {
    const { layers, children } = contentsOf(registry.metadata, repository, tag.digest);
    const parts = [
      ...children.map((one) => html`<tr><td><code>${one.digest}</code></td><td>${one.platform ?? 'manifest'}</td><td class="n">${formatBytes(imageBytes(registry, repository, one))}</td></tr>`.safe),
      ...layers.map((one) => html`<tr><td><code>${one.digest}</code></td><td>${one.mediaType}</td><td class="n">${formatBytes(one.size)}</td></tr>`.safe),
    ];
    return html`<tr><td>${tag.name}</td><td><details><summary><code>${tag.digest}</code></summary><table><tbody>${parts}</tbody></table></details></td><td class="n">${formatBytes(tag.bytes)}</td><td>${formatTime(tag.updated)}</td></tr>`.safe;
  });
  const table = rows.length === 0 ? html`<p class="quiet">No tags.</p>` : html`<table><thead><tr><th>Tag</th><th>Manifest and layers</th><th class="n">Size</th><th>Moved</th></tr></thead><tbody>${rows}</tbody></table>`;
  return html`<p><a href="/">Repositories</a></p><h1>${name}</h1>${table}${more(`/?repository=${encodeURIComponent(name)}&`, tags, (tag) => tag.name)}`;
}

const imageBytes = (registry: Registry, repository: number, child: { digest: Parameters<typeof contentsOf>[2]; size: number }): number =>
  contentsOf(registry.metadata, repository, child.digest).layers.reduce((sum, layer) => sum + layer.size, 0) || child.size;

const more = <T>(path: string, all: readonly T[], nameOf: (one: T) => string): { safe: Html } =>
  all.length > PAGE ? html`<p><a href="${path}last=${encodeURIComponent(nameOf(all[PAGE - 1] as T))}">More</a></p>` : html``;

/** Sizes as people read them: 1.2 MB. */
export function formatBytes(bytes: number): string {
  const unit = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  return unit === 0 ? `${bytes} B` : `${(bytes / 1000 ** unit).toFixed(1)} ${['B', 'kB', 'MB', 'GB'][unit]}`;
}

const formatTime = (time: number | null): string => (time === null ? '' : `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`);
