import { escapePointer } from '#runtime/compile/check-shape.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciResources } from '#spec/oci-runtime.ts';
import { hierarchyOf, unifiedHierarchy } from './cgroup-path.ts';
import type { CgroupHost } from './detect-cgroups.ts';
import { type LimitWrite, integer, orMax, requireController } from './limit-write.ts';

/** Limits of controllers that a hybrid machine may have on either side: huge pages, rdma, and v2's files by name (`unified`).
 *  Throws `invalid` for what this machine cannot do. */
export function limitsEither(host: CgroupHost, resources: OciResources): LimitWrite[] {
  return [...hugePages(host, resources), ...rdma(host, resources), ...unified(host, resources)];
}

function hugePages(host: CgroupHost, { hugepageLimits }: OciResources): LimitWrite[] {
  return (hugepageLimits ?? []).flatMap(({ pageSize, limit }, index) => {
    const pointer = `/hugepageLimits/${index}`;
    const hierarchy = requireController(host, 'hugetlb', pointer);
    if (!host.hugePageSizes.includes(pageSize)) {
      throw new NaruError('invalid', `/linux/resources${pointer}: this machine has no huge pages of ${JSON.stringify(pageSize)}`, {
        hint: `It has ${host.hugePageSizes.join(', ') || 'none'}.`,
      });
    }
    const suffix = hierarchy.unified ? 'max' : 'limit_in_bytes';
    const value = integer(limit);
    const write = (file: string): LimitWrite => ({ hierarchy, file, value, initial: false, pointer });
    // Reservations are counted apart (since 5.7), and would otherwise go around the limit until the pages are touched.
    return [write(`hugetlb.${pageSize}.${suffix}`), write(`hugetlb.${pageSize}.rsvd.${suffix}`)];
  });
}

function rdma(host: CgroupHost, { rdma: limits }: OciResources): LimitWrite[] {
  return Object.entries(limits ?? {}).map(([device, { hcaHandles, hcaObjects }]) => {
    const pointer = `/rdma/${escapePointer(device)}`;
    const parts = [
      device,
      ...(hcaHandles === undefined ? [] : [`hca_handle=${orMax(hcaHandles)}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${orMax(hcaObjects)}`]),
    ];
    return { hierarchy: requireController(host, 'rdma', pointer), file: 'rdma.max', value: parts.join(' '), initial: false, pointer };
  });
}

/** Files of the kernel's own book-keeping, which would move processes or break the container's life cycle. */
const NOT_LIMITS = /^cgroup\.(?!max\.|pressure$)/;

function unified(host: CgroupHost, { unified: files }: OciResources): LimitWrite[] {
  return Object.entries(files ?? {}).map(([file, value]) => {
    const pointer = `/unified/${file}`;
    const controller = file.slice(0, Math.max(0, file.indexOf('.')));
    if (!/^[a-z0-9_]+\.[A-Za-z0-9_.]+$/.test(file) || NOT_LIMITS.test(file)) {
      throw new NaruError('invalid', `/linux/resources${pointer}: ${JSON.stringify(file)} is not the name of a cgroup v2 limit`);
    }
    const hierarchy = unifiedHierarchy(host);
    const offered = hierarchy !== undefined && (controller === 'cgroup' || hierarchy.controllers.includes(controller));
    if (!offered) {
      const where = hierarchyOf(host, controller) === undefined ? 'is not available' : 'is on cgroup v1';
      throw new NaruError('invalid', `/linux/resources${pointer}: the ${controller} controller ${where} on this machine`);
    }
    return { hierarchy, file, value, initial: false, pointer };
  });
}
