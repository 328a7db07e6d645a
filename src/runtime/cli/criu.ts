import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The path of criu: as it was given when that is a path, else found in PATH (and where Debian keeps it); undefined when there is none. */
export function findCriu(name: string): string | undefined {
  const candidates = name.includes('/') ? [name] : [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'].filter((directory) => directory !== '').map((directory) => join(directory, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
