import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:net';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { digestOf, OCI_INDEX, OCI_MANIFEST, randomBlob, repository, testRegistry, type TestRegistry } from './harness.ts';

/** The page in a real browser (Debian's chromium): what it shows, how it fits, and that nothing that was pushed runs. */
const HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script><a href="javascript:window.pwned=1">x</a>\'`${1}';
let registry: TestRegistry;
let browser: Browser;
before(async () => {
  registry = await testRegistry({ allowedHosts: [HOSTILE] });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  const one = repository(registry.url, 'team/web');
  const image = await one.image('v1', { layers: [randomBlob(2_400_000), randomBlob(9_000)], extra: { annotations: { 'org.opencontainers.image.description': 'The front end' } } });
  await one.image(undefined, { extra: { subject: image.descriptor, artifactType: 'application/x.signature' } });
  await one.putManifest('multi', {
    schemaVersion: 2, mediaType: OCI_INDEX,
    manifests: [{ ...image.descriptor, platform: { os: 'linux', architecture: 'amd64' } }, { mediaType: OCI_MANIFEST, digest: digestOf('absent'), size: 400, platform: { os: 'linux', architecture: 'arm64' } }],
  }, OCI_INDEX);
  await repository(registry.url, 'a-rather-long-organisation-name/with-a-component/and-another-one-that-is-long').image('a'.repeat(128));
  const evil = repository(registry.url, 'evil');
  const base = await evil.image('base');
  await evil.putManifest('tag', JSON.stringify({ ...base.manifest, artifactType: HOSTILE, annotations: { [HOSTILE]: HOSTILE }, layers: [{ ...base.layers[0], mediaType: HOSTILE }], subject: base.descriptor }), OCI_MANIFEST);
  await evil.putManifest('index', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...base.descriptor, platform: { os: HOSTILE, architecture: '<b>' } }] }), OCI_INDEX);
});
after(async () => {
  await browser?.close();
  await registry?.[Symbol.asyncDispose]();
});

/** Opens everything; then how wide the page is, and the least contrast of any text with the card that it lies on (WCAG's measure). */
const MEASURE = `(() => {
  document.querySelectorAll('details').forEach((one) => { one.open = true; });
  const light = (text) => /(\\d+), (\\d+), (\\d+)/.exec(text).slice(1).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const card = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
  const texts = [...document.querySelectorAll('.card *')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== ''));
  const contrast = texts.map((e) => light(getComputedStyle(e).color)).map((text) => (Math.max(text, card) + 0.05) / (Math.min(text, card) + 0.05));
  return { wide: document.documentElement.scrollWidth, card, contrast: Math.min(...contrast), elements: contrast.length };
})()`;

interface Visit extends AsyncDisposable { page: Page; complaints: string[] }
async function visit(path: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => { complaints.push(`dialog ${dialog.message()}`); void dialog.dismiss(); });
  page.on('request', (request) => { if (!request.isNavigationRequest() && !request.url().endsWith('/favicon.ico')) complaints.push(`loads ${request.url()}`); });
  await page.goto(new URL(path, registry.url).href);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

test('repositories, then by a click one of them: tags, sizes, layers, platforms, what refers to it', async () => {
  await using v = await visit('/');
  assert.equal(await v.page.title(), 'Repositories · naru registry');
  assert.deepEqual(await v.page.locator('li .name').allTextContents(), ['a-rather-long-organisation-name/with-a-component/and-another-one-that-is-long', 'evil', 'team/web']);
  assert.match(await v.page.locator('li', { hasText: 'team/web' }).innerText(), /2\.4 MB[\s\S]*2 tags[\s\S]*20\d\d-\d\d-\d\d \d\d:\d\d UTC/);
  await v.page.click('text=team/web');
  assert.equal(await v.page.locator('h1').innerText(), 'team/web');
  assert.deepEqual(await v.page.locator('summary .name').allTextContents(), ['multi', 'v1']);
  const layer = v.page.getByText('2.4 MB').last();
  assert.equal(await v.page.getByText('The front end').isVisible(), false);
  // By keyboard alone.
  await v.page.locator('summary', { hasText: 'v1' }).focus();
  await v.page.keyboard.press('Enter');
  assert.equal(await v.page.getByText('The front end').isVisible(), true);
  assert.equal(await layer.isVisible(), true);
  const inside = await v.page.locator('details', { hasText: 'The front end' }).innerText();
  assert.ok(inside.includes(`docker pull ${new URL(registry.url).host}/team/web:v1`));
  assert.match(inside, /config · application\/vnd\.oci\.image\.config\.v1\+json[\s\S]*9\.0 kB[\s\S]*application\/x\.signature/);
  await v.page.locator('summary', { hasText: 'multi' }).click();
  assert.match(await v.page.locator('details', { hasText: 'linux/arm64' }).innerText(), /linux\/amd64[\s\S]*linux\/arm64 not here/);
  await v.page.click('.brand');
  assert.equal(await v.page.locator('h1').innerText(), 'Repositories');
  assert.deepEqual(v.complaints, []);
});

describe('light and dark, wide and as a telephone', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1200, 360]) {
      test(`${colorScheme}, ${width} px: readable, nothing sticks out`, async () => {
        for (const path of ['/', '/?repository=team/web', '/?repository=a-rather-long-organisation-name%2Fwith-a-component%2Fand-another-one-that-is-long']) {
          await using v = await visit(path, { colorScheme, viewport: { width, height: 800 } });
          const seen = await v.page.evaluate<{ wide: number; card: number; contrast: number; elements: number }>(MEASURE);
          assert.ok(seen.wide <= width, `${path}: ${seen.wide} px`);
          assert.ok(seen.contrast >= 4.5, `${path}: contrast ${seen.contrast}`);
          assert.ok(seen.elements > 2);
          assert.equal(seen.card > 0.5, colorScheme === 'light');
        }
      });
    }
  }
});

test('hostile annotations, media types, platforms, artifact types and addresses are shown as text and run nothing', async () => {
  await using v = await visit('/?repository=evil');
  await v.page.evaluate(MEASURE);
  const text = await v.page.locator('main').innerText();
  assert.ok(text.split(HOSTILE.slice(0, 60)).length > 4, 'all of it is there to read');
  assert.equal(await v.page.locator('main img, main script, main a[href^="javascript"]').count(), 0);
  assert.equal(await v.page.evaluate('window.pwned'), undefined);
  assert.deepEqual(v.complaints, []);
  // Even a script that got into the page would not run: the policy allows none.
  await v.page.evaluate(`(() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 2'; document.body.append(s); })()`);
  assert.equal(await v.page.evaluate('window.pwned'), undefined);
  // The Host header comes from the client; so do the query's values.
  const { hostname, port } = new URL(registry.url);
  for (const [path, host] of [['/?repository=evil', HOSTILE], [`/?repository=evil&last=${encodeURIComponent(HOSTILE)}`, 'localhost'], [`/?last=${encodeURIComponent(HOSTILE)}`, 'localhost'], [`/?repository=${encodeURIComponent(HOSTILE)}`, 'localhost']] as const) {
    const answer = await new Promise<string>((resolve) => {
      let all = '';
      connect(Number(port), hostname, function (this: import('node:net').Socket) { this.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`); }).on('data', (d) => { all += String(d); }).on('close', () => resolve(all)).on('error', () => resolve(all));
    });
    assert.ok(!/<img|<script|href="javascript/i.test(answer), path);
  }
});
