import type { OpName, Section } from '#runtime/plan/ops.ts';
import type { OpArgs, PlanOp } from '#runtime/plan/plan.ts';

export interface OpNotes {
  /** In a few words, why the operation stands here. */
  readonly why: string;
  /** config.json pointer of the field that caused it. */
  readonly pointer?: string;
  readonly tolerate?: readonly number[];
  readonly skip?: number;
}

/** Collects the four sections of a plan; `build` puts them in the order in which they are executed. */
export interface PlanBuilder {
  add<N extends OpName>(section: Section, name: N, args: OpArgs<N>, notes: OpNotes): void;
  /** Operations made elsewhere (cgroups), whose `source` is a pointer. */
  splice(ops: readonly PlanOp[]): void;
  /** How many the section has by now. */
  count(section: Section): number;
  build(): PlanOp[];
}

/** `sources`: config.json pointer -> the user's flag. An operation gets the flag of the longest pointer that is a prefix of
 *  its own pointer; without one, the pointer itself. */
export function planBuilder(sources: ReadonlyMap<string, string> | undefined): PlanBuilder {
  const flags = new Map<string, string>();
  const flagOf = (pointer: string): string => {
    let flag = flags.get(pointer);
    if (flag === undefined) flags.set(pointer, (flag = sourceOf(pointer, sources)));
    return flag;
  };
  const sections: Record<Section, PlanOp[]> = { prepare: [], parent: [], child: [], cleanup: [] };
  return {
    add(section, name, args, notes) {
      const { why, pointer, tolerate, skip } = notes;
      // One shape for every operation: this runs some hundred and fifty times for each container.
      const op = { name, section, args, why, pointer, source: pointer === undefined ? undefined : flagOf(pointer), tolerate, skip };
      sections[section].push(op as unknown as PlanOp);
    },
    splice(ops) {
      for (const op of ops) {
        const { source } = op;
        sections[op.section].push(source === undefined || sources === undefined ? op : { ...op, source: flagOf(source), pointer: source });
      }
    },
    count: (section) => sections[section].length,
    build: () => [...sections.prepare, ...sections.parent, ...sections.child, ...sections.cleanup],
  };
}

/** The flag that explains `pointer`. */
export function sourceOf(pointer: string, sources: ReadonlyMap<string, string> | undefined): string {
  if (sources !== undefined && sources.size > 0) {
    for (let p = pointer; p !== ''; p = p.slice(0, p.lastIndexOf('/'))) {
      const flag = sources.get(p);
      if (flag !== undefined) return flag;
    }
  }
  return pointer;
}
