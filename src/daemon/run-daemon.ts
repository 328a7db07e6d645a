import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { lockFile } from '#sys/lock-file.ts';
import { trimWhenIdle } from '#sys/trim-memory.ts';
import { openStore } from '#core/open-store.ts';
import { openTrees } from '#core/trees/open-trees.ts';
import { createDriver } from '#runtime/driver/create-driver.ts';
import { createDnsService } from '#net/dns/create-dns-service.ts';
import { createNetworkService } from '#net/create-network-service.ts';
import { createEngine } from '#engine/create-engine.ts';
import { ENGINE_SCHEMA } from '#engine/schema.ts';
import { checkListener } from '#api/listeners.ts';
import { serveApi } from '#api/serve-api.ts';
import { DAEMON_HELP, parseDaemonOptions, type DaemonOptions } from './options.ts';
import { embeddedHello, embeddedHelper } from './embedded.ts';
import { readDaemonConfig } from './config-file.ts';
import { createLog, type Log } from './log.ts';
import { BUILD, VERSION } from './version.ts';

/**
 * The composition root: the chain, link by link. Everything that the daemon is stands in `compose`; what is opened first is
 * closed last. Returns the exit status.
 */
export async function runDaemon(args: readonly string[], self: readonly string[]): Promise<number> {
  let options: DaemonOptions | 'help' | 'valid';
  try {
    options = parseDaemonOptions(args);
  } catch (error) {
    return fail(error);
  }
  if (options === 'help') {
    process.stdout.write(DAEMON_HELP);
    return 0;
  }
  if (options === 'valid') {
    process.stderr.write('configuration OK\n');
    return 0;
  }
  const log = createLog(options.logLevel);
  for (const warning of options.config.warnings) log.warn(warning);
  // What one request left behind must not end what serves all others.
  process.on('unhandledRejection', (error) => log.error(`left over: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`));
  try {
    await using stack = new AsyncDisposableStack();
    const stopped = stopSignal();
    await compose(options, { log, stack, self });
    await stopped;
    log.info('stopping; containers go on');
    return 0;
  } catch (error) {
    return fail(error);
  }
}

async function compose(options: DaemonOptions, { log, stack, self }: { log: Log; stack: AsyncDisposableStack; self: readonly string[] }): Promise<void> {
  const { dataRoot, stateDir } = options;
  const listeners = options.hosts.map((address) => ({ address, ...(options.tls === undefined ? {} : { tls: options.tls }), insecureTcp: options.insecureTcp }));
  for (const each of listeners) checkListener(each); // before there is a bridge, a table, a database that nobody would take away
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
  const lock = lockFile(`${dataRoot}/lock`);
  if (lock === undefined) {
    throw new NaruError('conflict', `another naru daemon uses ${dataRoot}`, { hint: 'stop it first, or give this one a --data-root of its own' });
  }
  stack.defer(() => lock.release());
  if (options.pidFile !== undefined) {
    writeFileSync(options.pidFile, `${process.pid}\n`);
    stack.defer(() => rmSync(options.pidFile as string, { force: true }));
  }

  const store = await openStore(dataRoot, ENGINE_SCHEMA, { self });
  stack.defer(() => store.close());
  const driver = await createDriver({ helper: embeddedHelper(), realtime: options.realtime });
  stack.defer(() => driver.close());
  const network = createNetworkService({
    bridge: options.bridge, tableName: options.nftTable, ...(options.subnet === undefined ? {} : { subnet: options.subnet }), log: (text) => log.warn(text), ...options.network,
  });
  stack.defer(() => network.close());
  const dns = createDnsService({ stateDir, self, log: (text) => log.warn(text) });
  stack.defer(() => dns.close());
  let { settings } = options.config;
  const engine = await createEngine({
    settings: () => settings,
    store, trees: openTrees(), tasks: driver, network, dns, dataRoot, stateRoot: stateDir, cgroupParent: options.cgroupParent, registries: options.registries, imagePolicy: options.imagePolicy, ...(options.imageMarks === undefined ? {} : { imageMarks: options.imageMarks }), version: VERSION, build: BUILD, self, log,
  });
  stack.defer(() => engine.close());
  const reload = (): void => {
    try {
      const config = readDaemonConfig(options.configFile, { required: false });
      settings = config.settings;
      log.setLevel((config.flags['log-level'] as DaemonOptions['logLevel'] | undefined) ?? options.logLevel);
      for (const warning of config.warnings) log.warn(warning);
      engine.reloaded();
      log.info(`configuration read again from ${options.configFile}`);
    } catch (error) {
      log.error(`the configuration stays as it was: ${(error as Error).message}`);
    }
  };
  process.on('SIGHUP', reload);
  stack.defer(() => void process.off('SIGHUP', reload));
  await helloImage(store);
  const api = await serveApi({
    engine, version: VERSION,
    onFault: (error, request) => log.error(`${request}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
    listeners,
  });
  stack.defer(() => api.close());
  stack.defer(trimWhenIdle());
  log.info(`naru ${VERSION} ready at ${api.addresses.join(', ')}`);
}

/** The built-in image. The label asks the engine to put the chain's times into the environment. */
async function helloImage(store: Awaited<ReturnType<typeof openStore>>): Promise<void> {
  if (store.images.find('hello') !== undefined) return;
  await store.images.builtin('hello:latest', [{ path: 'hello', mode: 0o755, data: embeddedHello() }], {
    Cmd: ['/hello'], WorkingDir: '/', Labels: { 'naru.chain': '1' },
  });
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    process.on('SIGHUP', () => {});
    process.on('SIGPIPE', () => {});
  });
}

function fail(error: unknown): number {
  if (!(error instanceof NaruError)) {
    // What a disk or a directory says is the user's to mend; anything else is a fault of ours, told in full.
    if (typeof (error as NodeJS.ErrnoException).code !== 'string' || (error as NodeJS.ErrnoException).errno === undefined) throw error;
    process.stderr.write(`naru daemon: ${(error as Error).message}\n`);
    return 1;
  }
  process.stderr.write(`naru daemon: ${error.message}\n${error.hint === undefined ? '' : `hint: ${error.hint}\n`}`);
  return 1;
}
