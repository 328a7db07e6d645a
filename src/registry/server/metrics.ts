/** https://prometheus.io/docs/instrumenting/exposition_formats/: counters, gauges read when asked, one histogram. */
export interface Metrics {
  count(name: string, labels?: Record<string, string>, by?: number): void;
  observe(seconds: number, method: string): void;
  render(): string;
}

const HELP: Record<string, [type: 'counter' | 'gauge', help: string]> = {
  naru_registry_requests_total: ['counter', 'Requests by method, kind of target and status.'],
  naru_registry_sent_bytes_total: ['counter', 'Bytes of bodies sent.'],
  naru_registry_received_bytes_total: ['counter', 'Bytes of blobs and manifests taken in.'],
  naru_registry_events_total: ['counter', 'Notifications by outcome (delivered, dropped).'],
  naru_registry_collected_blobs_total: ['counter', 'Blobs that garbage collection removed.'],
  naru_registry_collected_bytes_total: ['counter', 'Bytes that garbage collection removed.'],
  naru_registry_upstream_total: ['counter', 'Pull-through requests by outcome (hit, miss, stale, failed).'],
  naru_registry_events_waiting: ['gauge', 'Notifications that have not been delivered yet.'],
  naru_registry_requests_in_flight: ['gauge', 'Requests being answered.'],
  naru_registry_blobs: ['gauge', 'Blobs stored.'],
  naru_registry_stored_bytes: ['gauge', 'Bytes of the blobs stored.'],
  naru_registry_repositories: ['gauge', 'Repositories.'],
};
const BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120];
const DURATION = 'naru_registry_request_duration_seconds';

/** `gauges` are read at each scrape. Label values are from small fixed sets: never names of repositories. */
export function createMetrics(gauges: () => Record<string, number>): Metrics {
  const counters = new Map<string, Map<string, number>>();
  const durations = new Map<string, { buckets: number[]; sum: number; count: number }>();
  return {
    count(name, labels = {}, by = 1) {
      let series = counters.get(name);
      if (series === undefined) counters.set(name, (series = new Map<string, number>()));
      const key = renderLabels(labels);
      series.set(key, (series.get(key) ?? 0) + by);
    },
    observe(seconds, method) {
      let found = durations.get(method);
      if (found === undefined) durations.set(method, (found = { buckets: BUCKETS.map(() => 0), sum: 0, count: 0 }));
      BUCKETS.forEach((bound, i) => { if (seconds <= bound) (found as { buckets: number[] }).buckets[i]!++; });
      found.sum += seconds;
      found.count++;
    },
    render() {
      const lines: string[] = [];
      const now = gauges();
      for (const [name, [type, help]] of Object.entries(HELP)) {
        lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
        if (type === 'gauge') lines.push(`${name} ${now[name] ?? 0}`);
        else for (const [labels, value] of counters.get(name) ?? []) lines.push(`${name}${labels} ${value}`);
      }
      lines.push(`# HELP ${DURATION} How long requests took.`, `# TYPE ${DURATION} histogram`);
      for (const [method, { buckets, sum, count }] of durations) {
        BUCKETS.forEach((bound, i) => lines.push(`${DURATION}_bucket{method="${method}",le="${bound}"} ${buckets[i]}`));
        lines.push(`${DURATION}_bucket{method="${method}",le="+Inf"} ${count}`, `${DURATION}_sum{method="${method}"} ${sum}`, `${DURATION}_count{method="${method}"} ${count}`);
      }
      return `${lines.join('\n')}\n`;
    },
  };
}

const renderLabels = (labels: Record<string, string>): string => {
  const fields = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`);
  return fields.length === 0 ? '' : `{${fields.join(',')}}`;
};
