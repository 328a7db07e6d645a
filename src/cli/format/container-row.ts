import type { ContainerSummary, PortSummary } from '#spec/engine-api.ts';
import { familiarName, parseImageReference } from '../create/image-reference.ts';
import { ellipsis } from './display-width.ts';
import { goQuote } from './go-strings.ts';
import { humanAge, goTime } from './human-time.ts';
import { humanSize } from './human-size.ts';
import { shortId, type Row } from './table.ts';

export const CONTAINER_HEADERS: Readonly<Record<string, string>> = {
  ID: 'CONTAINER ID', Names: 'NAMES', Image: 'IMAGE', Command: 'COMMAND', CreatedAt: 'CREATED AT', RunningFor: 'CREATED', Ports: 'PORTS', State: 'STATE', Status: 'STATUS',
  Size: 'SIZE', Labels: 'LABELS', Mounts: 'MOUNTS', LocalVolumes: 'LOCAL VOLUMES', Networks: 'NETWORKS', Platform: 'PLATFORM',
};

/** The format that a `ps` prints with. */
export function containerFormat(format: string, quiet: boolean, size: boolean): string {
  if (quiet) return '{{.ID}}';
  if (format === 'raw') return `container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n${size ? 'size: {{.Size}}\\n' : ''}`;
  if (format !== '' && format !== 'table') return format;
  return `table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}${size ? '\\t{{.Size}}' : ''}`;
}

/** A container's columns. */
export function containerRow(c: ContainerSummary, trunc: boolean): Row {
  const labels = c.Labels ?? {};
  const mounts = (c.Mounts ?? []).map((mount) => {
    const name = mount.Name === undefined || mount.Name === '' ? mount.Source : mount.Name;
    return trunc ? ellipsis(name, 15) : name;
  });
  const platform = (c as { ImageManifestDescriptor?: { platform?: { os: string; architecture: string; variant?: string } } | null }).ImageManifestDescriptor?.platform;
  return {
    Command: goQuote(trunc ? ellipsis(c.Command, 20) : c.Command),
    // Only when it is shown: the first look at the time zone costs a process 12 ms.
    get CreatedAt() { return goTime(c.Created); },
    ID: trunc ? shortId(c.Id) : c.Id,
    Image: imageName(c, trunc),
    Labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`).sort().join(','),
    Label: (name: string) => labels[name] ?? '',
    LocalVolumes: String((c.Mounts ?? []).filter((mount) => mount.Driver === 'local').length),
    Mounts: mounts.join(','),
    Names: names(c, trunc),
    Networks: Object.keys(c.NetworkSettings?.Networks ?? {}).join(','),
    Platform: platform === undefined ? null : platform,
    Ports: displayPorts(c.Ports ?? []),
    RunningFor: humanAge(c.Created),
    Size: humanSize(c.SizeRw ?? 0, 3) + ((c.SizeRootFs ?? 0) > 0 ? ` (virtual ${humanSize(c.SizeRootFs ?? 0, 3)})` : ''),
    State: c.State,
    Status: c.Status,
  };
}

function names(c: ContainerSummary, trunc: boolean): string {
  const all = (c.Names ?? []).map((name) => name.slice(1));
  const own = trunc ? all.find((name) => !name.includes('/')) : undefined;
  return own ?? all.join(',');
}

function imageName(c: ContainerSummary, trunc: boolean): string {
  if (c.Image === '') return '<no image>';
  if (!trunc) return c.Image;
  if (shortId(c.ImageID) === shortId(c.Image)) return shortId(c.ImageID);
  try {
    const reference = parseImageReference(c.Image);
    return `${familiarName(reference)}${reference.tag === undefined ? '' : `:${reference.tag}`}`;
  } catch {
    return c.Image;
  }
}

/** `0.0.0.0:8080->80/tcp, 9000-9002/tcp`: runs of ports are joined. */
export function displayPorts(ports: readonly PortSummary[]): string {
  const sorted = [...ports].sort((a, b) => a.PrivatePort - b.PrivatePort || compare(a.IP ?? '', b.IP ?? '') || (a.PublicPort ?? 0) - (b.PublicPort ?? 0) || compare(a.Type, b.Type));
  const host = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip);
  const runs = new Map<string, { ip: string; type: string; first: number; last: number }>();
  const done: string[] = [];
  const mappings: string[] = [];
  const show = (run: { ip: string; type: string; first: number; last: number }): string => {
    const range = run.first === run.last ? String(run.first) : `${run.first}-${run.last}`;
    return `${run.ip === '' ? '' : `${host(run.ip)}:${range}->`}${range}/${run.type}`;
  };
  for (const { IP: ip = '', PrivatePort: inner, PublicPort: outer = 0, Type: type } of sorted) {
    if (ip !== '' && outer !== inner) {
      mappings.push(`${host(ip)}:${outer}->${inner}/${type}`);
      continue;
    }
    const key = `${ip}/${type}`;
    const run = runs.get(key);
    if (run !== undefined && inner === run.last + 1) run.last = inner;
    else {
      if (run !== undefined) done.push(show(run));
      if (run === undefined) runs.set(key, { ip, type, first: inner, last: inner });
      else Object.assign(run, { first: inner, last: inner });
    }
  }
  return [...done, ...[...runs.values()].map(show), ...mappings].join(', ');
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
