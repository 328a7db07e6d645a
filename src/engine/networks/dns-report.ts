import type { DnsCounts, DnsReport } from '#spec/naru-api.ts';
import { LATENCY_CLASSES, newCounters } from '#net/dns/counters.ts';
import type { DnsCounters } from '#net/dns/port.ts';
import type { EngineContext } from '../engine-context.ts';

/** What the resolver has done, by container. */
export async function dnsReport({ dns, containers }: EngineContext): Promise<DnsReport> {
  const found = await dns.statistics();
  if (found === undefined) return { Containers: [], Total: countsOf(newCounters()), Latency: [] };
  return {
    Pid: found.pid, UptimeSeconds: found.uptimeSeconds, Memory: found.memory,
    Containers: Object.entries(found.perContainer).map(([id, counters]) => ({ Id: id, Name: containers.get(id)?.name ?? '', ...countsOf(counters) })),
    Total: countsOf(found.total),
    Latency: found.total.latency.map((count, i) => ({ Most: LATENCY_CLASSES[i] ?? null, Answers: count })),
  };
}

const countsOf = (from: DnsCounters): DnsCounts => ({
  Queries: from.queries, Local: from.local, Cached: from.cached, Forwarded: from.forwarded, Withheld: from.withheld, Failed: from.failed, Refused: from.refused,
  Timeouts: from.timeouts, Mismatched: from.mismatched, Tcp: from.tcp,
});
