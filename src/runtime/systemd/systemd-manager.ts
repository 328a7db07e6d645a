import { existsSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { DBusConnection, DBusError } from './dbus-connection.ts';
import type { DBusValue, Variant } from './dbus-value.ts';

const SYSTEMD = 'org.freedesktop.systemd1';
const MANAGER = { path: '/org/freedesktop/systemd1', interface: `${SYSTEMD}.Manager` } as const;
const BUS = { path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', destination: 'org.freedesktop.DBus' } as const;
const JOB_DEADLINE_MS = 30_000;
/** https://www.freedesktop.org/software/systemd/man/latest/sd_booted.html */
const BOOTED = '/run/systemd/system';

export type Property = readonly [name: string, value: Variant];

/** systemd, the machine's or (for who is not root) the user's own, through its bus or its private socket.
 *  https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html */
export class SystemdManager {
  readonly #connection: DBusConnection;
  readonly #destination: { readonly destination?: string };
  readonly #done = new Map<string, string>();
  #onJob = (): void => {};

  /** Throws `unsupported` where no systemd runs. */
  static async connect({ user }: { readonly user: boolean }): Promise<SystemdManager> {
    if (!existsSync(BOOTED)) throw new NaruError('unsupported', 'systemd not running on this host, cannot use systemd cgroups manager', { hint: 'leave --systemd-cgroup out: cgroups are then made in /sys/fs/cgroup' });
    const tried: string[] = [];
    for (const { path, bus } of user ? userSockets() : systemSockets()) {
      try {
        const manager = new SystemdManager(await DBusConnection.open(path), bus);
        await manager.#subscribe(bus);
        return manager;
      } catch (error) {
        tried.push((error as Error).message);
      }
    }
    throw new NaruError('unavailable', `--systemd-cgroup: cannot talk to systemd: ${tried.join('; ') || 'XDG_RUNTIME_DIR is not set'}`);
  }

  private constructor(connection: DBusConnection, bus: boolean) {
    this.#connection = connection;
    this.#destination = bus ? { destination: SYSTEMD } : {};
    connection.onSignal(({ member, body }) => {
      if (member !== 'JobRemoved') return;
      this.#done.set(body[1] as string, body[3] as string);
      this.#onJob();
    });
  }

  async #subscribe(bus: boolean): Promise<void> {
    if (bus) {
      await this.#connection.call({ ...BUS, member: 'Hello' });
      await this.#connection.call({ ...BUS, member: 'AddMatch', signature: 's', body: [`type='signal',interface='${MANAGER.interface}',member='JobRemoved',path='${MANAGER.path}'`] });
    }
    await this.#manager('Subscribe', '', []);
  }

  /** The group under which this systemd puts its units: '' for the machine's, `/user.slice/…` for a user's. */
  async controlGroup(): Promise<string> {
    const [value] = await this.#connection.call({
      path: MANAGER.path, interface: 'org.freedesktop.DBus.Properties', member: 'Get', ...this.#destination, signature: 'ss', body: [MANAGER.interface, 'ControlGroup'],
    });
    const path = (value as Variant).value as string;
    return path === '/' ? '' : path;
  }

  /** Makes the unit and waits until it is there. */
  async startUnit(unit: string, properties: readonly Property[]): Promise<void> {
    const start = (): Promise<readonly DBusValue[]> => this.#manager('StartTransientUnit', 'ssa(sv)a(sa(sv))', [unit, 'replace', properties, []]);
    const job = await start().catch(async (error: unknown) => {
      if (!(error instanceof DBusError) || error.errorName !== `${SYSTEMD}.UnitExists`) throw error;
      // One that failed is kept for whoever asks why.
      await this.resetFailed(unit);
      return start();
    });
    const result = await this.#finished(job[0] as string, unit);
    if (result !== 'done') throw new NaruError('unavailable', `--systemd-cgroup: systemd could not start ${unit}: ${result}`);
  }

  /** Idempotent. */
  async stopUnit(unit: string): Promise<void> {
    try {
      const [job] = await this.#manager('StopUnit', 'ss', [unit, 'replace']);
      await this.#finished(job as string, unit);
    } catch (error) {
      if (!(error instanceof DBusError) || error.errorName !== `${SYSTEMD}.NoSuchUnit`) throw error;
    }
    await this.resetFailed(unit);
  }

  async resetFailed(unit: string): Promise<void> {
    await this.#manager('ResetFailedUnit', 's', [unit]).catch((error: unknown) => {
      if (!(error instanceof DBusError)) throw error; // it has not failed, or is gone
    });
  }

  async setProperties(unit: string, properties: readonly Property[]): Promise<void> {
    if (properties.length > 0) await this.#manager('SetUnitProperties', 'sba(sv)', [unit, true, properties]);
  }

  close(): void {
    this.#connection.close();
  }

  #manager(member: string, signature: string, body: readonly DBusValue[]): Promise<readonly DBusValue[]> {
    return this.#connection.call({ ...MANAGER, ...this.#destination, member, signature, body });
  }

  async #finished(job: string, unit: string): Promise<string> {
    const done = Promise.withResolvers<string>();
    const look = (): void => {
      const result = this.#done.get(job);
      if (result !== undefined) done.resolve(result);
    };
    this.#onJob = look;
    look();
    const timer = setTimeout(() => done.reject(new NaruError('unavailable', `--systemd-cgroup: systemd did not finish with ${unit} within ${JOB_DEADLINE_MS / 1000} s`)), JOB_DEADLINE_MS);
    return done.promise.finally(() => clearTimeout(timer));
  }
}

interface Address { readonly path: string; readonly bus: boolean }

const busPath = (variable: string): string | undefined => /(?:^|;)unix:(?:[^;]*,)?path=([^,;]+)/.exec(process.env[variable] ?? '')?.[1];

const systemSockets = (): Address[] => [
  { path: busPath('DBUS_SYSTEM_BUS_ADDRESS') ?? '/run/dbus/system_bus_socket', bus: true },
  { path: '/run/systemd/private', bus: false },
];

/** Whether some user's systemd, or his bus, can be reached. */
export const hasSession = (): boolean => userSockets().some(({ path }) => existsSync(path));

function userSockets(): Address[] {
  const { XDG_RUNTIME_DIR: directory } = process.env;
  const session = busPath('DBUS_SESSION_BUS_ADDRESS') ?? (directory === undefined ? undefined : `${directory}/bus`);
  return [
    ...(session === undefined ? [] : [{ path: session, bus: true }]),
    ...(directory === undefined ? [] : [{ path: `${directory}/systemd/private`, bus: false }]),
  ];
}
